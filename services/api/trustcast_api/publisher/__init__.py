"""The certificate screens' REST API of WSO2 API Manager, 2.6 to 4.x, so that its clients work unchanged.

Translate, decide nothing: what these routes do, the native ones do, too. `errors.py` alone is imported by
`problems.py`; nothing here is imported by anything else but `app.py`.
"""
