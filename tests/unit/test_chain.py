"""A certificate and its issuers, among those at hand."""

from __future__ import annotations

from tests.certificates import authority, issued, self_signed
from trustcast.domain.chain import LONGEST, chain


def test_chain_goes_from_the_leaf_to_the_root() -> None:
    root = authority("Root")
    between = issued(root, "between", ca=True)
    leaf = issued(between)

    assert chain(leaf.der, [root.der, self_signed("other").der, between.der]) == [leaf.der, between.der, root.der]


def test_chain_ends_where_the_issuer_is_not_at_hand() -> None:
    root = authority("Root")
    between = issued(root, "between", ca=True)
    leaf = issued(between)

    assert chain(leaf.der, [root.der]) == [leaf.der]
    assert chain(leaf.der, [between.der]) == [leaf.der, between.der]


def test_authority_of_the_same_name_that_did_not_sign_is_no_issuer() -> None:
    impostor, root = authority("Root"), authority("Root")
    leaf = issued(root)

    assert chain(leaf.der, [impostor.der]) == [leaf.der]
    assert chain(leaf.der, [impostor.der, root.der]) == [leaf.der, root.der]


def test_self_signed_certificate_is_its_own_chain() -> None:
    made = self_signed()

    assert chain(made.der, [made.der]) == [made.der]


def test_authorities_that_signed_each_other_make_no_endless_chain() -> None:
    first, second = authority("First"), authority("Second")
    crossed = issued(second, "First", ca=True, key=first.key)
    back = issued(first, "Second", ca=True, key=second.key)
    leaf = issued(first)

    assert len(chain(leaf.der, [crossed.der, back.der])) <= LONGEST
