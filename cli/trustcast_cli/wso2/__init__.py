"""Coming from WSO2: what its database and its gateways' truststore hold becomes operations of Trustcast.

csv_export.py database.py   the rows of AM_CERTIFICATE_METADATA, which are only read
stored.py                   what stands in a CERTIFICATE column -> DER
truststore.py               the client-truststore.jks that the gateways trust
matching.py                 row + truststore -> the certificate that is meant
candidates.py               which of them Trustcast can take, and under which name
comparing.py                which of them Trustcast has already, and which stand in each other's way
sending.py                  the rest, over HTTP
report.py printed.py        what became of each row
"""
