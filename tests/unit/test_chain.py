"""A certificate and its issuers, among those at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.certificates import Made, authority, ec_key, issued, rsa_key, self_signed
from trustcast.domain.chain import LONGEST, REASONS, chain, issuers, top, upwards
from trustcast.domain.errors import Rejected


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


def _in_any_order(*made: Made) -> Iterator[dict[bytes, list[bytes]]]:
    for several in permutations([one.der for one in made]):
        yield issuers(several)


def _code(of: Callable[[dict[bytes, list[bytes]]], object], *made: Made) -> str:
    codes = set()
    for issued_by in _in_any_order(*made):
        with pytest.raises(Rejected) as refused:
            of(issued_by)
        codes.add(refused.value.code)
        assert refused.value.detail == REASONS[refused.value.code]
        assert refused.value.field == "certificate"
    return codes.pop() if len(codes) == 1 else "different ones"


def test_file_in_any_order_gives_one_chain() -> None:
    root = authority("Root")
    upper = issued(root, "upper", ca=True)
    lower = issued(upper, "lower", ca=True)
    leaf = issued(lower)

    for issued_by in _in_any_order(leaf, lower, upper, root):
        assert upwards(issued_by) == [leaf.der, lower.der, upper.der, root.der]
        assert top(issued_by) == root.der


def test_top_is_the_one_whose_issuer_is_not_in_the_file() -> None:
    between = issued(authority("Root"), "between", ca=True)
    leaf = issued(between)

    for issued_by in _in_any_order(leaf, between):
        assert upwards(issued_by) == [leaf.der, between.der]
        assert top(issued_by) == between.der


def test_unrelated_certificate_in_a_file_is_refused() -> None:
    root = authority("Root")
    leaf = issued(root)

    assert _code(upwards, leaf, root, self_signed("other.example")) == "chain_unrelated"
    assert _code(upwards, leaf, authority("Other")) == "chain_unrelated"


def test_two_leaves_are_refused() -> None:
    root = authority("Root")

    assert _code(upwards, root, issued(root, "a.example"), issued(root, "b.example")) == "chain_unrelated"


def test_missing_link_is_refused() -> None:
    root = authority("Root")

    assert _code(upwards, root, issued(issued(root, "between", ca=True))) == "chain_unrelated"


def test_namesake_that_did_not_sign_is_refused() -> None:
    root, impostor = authority("Root"), authority("Root")
    leaf = issued(root)

    assert _code(upwards, leaf, impostor) == "chain_unrelated"
    assert _code(upwards, leaf, root, impostor) == "chain_unrelated"


def test_signature_that_was_damaged_joins_nothing() -> None:
    root = authority("Root")
    leaf = issued(root).der

    with pytest.raises(Rejected, match="not one chain"):
        upwards(issuers([leaf[:-1] + bytes([leaf[-1] ^ 1]), root.der]))


def test_key_of_another_kind_under_the_name_of_the_issuer_joins_nothing() -> None:
    leaf = issued(authority("Root"))

    assert _code(upwards, leaf, authority("Root", key=rsa_key())) == "chain_unrelated"


def test_cross_signed_authority_stands_in_the_chain_with_its_other_self() -> None:
    root, other = authority("Root"), authority("Other")
    crossed = issued(other, "Root", ca=True, key=root.key)
    leaf = issued(root)

    for issued_by in _in_any_order(leaf, root, crossed, other):
        links = upwards(issued_by)
        assert links[0] == leaf.der
        assert sorted(links[1:3]) == sorted([root.der, crossed.der])
        assert links[3:] == [other.der]
    assert _code(top, leaf, root, crossed, other) == "chain_ambiguous"


def test_order_of_the_chain_is_not_the_order_of_the_file() -> None:
    root, other = authority("Root"), authority("Other")
    crossed = issued(other, "Root", ca=True, key=root.key)

    assert len({tuple(upwards(each)) for each in _in_any_order(issued(root), root, crossed, other)}) == 1


def test_cross_signed_authority_has_one_top_where_only_one_of_them_is_there() -> None:
    root, other = authority("Root"), authority("Other")
    crossed = issued(other, "Root", ca=True, key=root.key)
    leaf = issued(root)

    for issued_by in _in_any_order(leaf, crossed, other):
        assert upwards(issued_by) == [leaf.der, crossed.der, other.der]
        assert top(issued_by) == other.der


def test_renewed_root_did_not_issue_the_old_one() -> None:
    old = authority("Root")
    renewed = authority("Root", key=old.key, days=400)

    assert _code(upwards, old, renewed) == "chain_unrelated"
    for issued_by in _in_any_order(old, renewed, leaf := issued(old)):
        assert upwards(issued_by)[0] == leaf.der


def test_root_with_a_new_key_that_the_old_one_signed_is_above_nothing_but_below_it() -> None:
    old = authority("Root")
    new = issued(old, "Root", ca=True)
    leaf = issued(new)

    for issued_by in _in_any_order(leaf, new, old):
        assert upwards(issued_by) == [leaf.der, new.der, old.der]


def test_authorities_that_issued_each_other_have_no_leaf_and_no_top() -> None:
    first, second = authority("First"), authority("Second")
    crossed = issued(second, "First", ca=True, key=first.key)
    back = issued(first, "Second", ca=True, key=second.key)

    assert _code(upwards, crossed, back) == "chain_ambiguous"
    assert _code(top, crossed, back) == "chain_ambiguous"
    assert _code(upwards, crossed, back, self_signed()) == "chain_unrelated"
    for issued_by in _in_any_order(crossed, back, leaf := issued(first)):
        assert upwards(issued_by) == [leaf.der, crossed.der, back.der]


def test_self_signed_certificate_did_not_issue_itself_in_a_file() -> None:
    made = self_signed()

    assert issuers([made.der]) == {made.der: []}


def test_chain_of_twenty_is_put_together() -> None:
    links = [authority("Root")]
    while len(links) < 20:
        links.insert(0, issued(links[0], f"number {len(links)}", ca=True))

    assert upwards(issuers([one.der for one in reversed(links)])) == [one.der for one in links]


def test_so_many_namesakes_that_it_would_cost_time_are_refused() -> None:
    key = ec_key()
    few, many = ([authority("Root", key=key).der for _ in range(number)] for number in (6, 7))

    assert len(issuers(few)) == 6
    with pytest.raises(Rejected) as refused:
        issuers(many)
    assert refused.value.code == "chain_ambiguous"


def test_chain_has_at_most_ten_links() -> None:
    links = [authority("Root")]
    while len(links) < 13:
        links.insert(0, issued(links[0], f"number {len(links)}", ca=True))

    assert chain(links[0].der, [one.der for one in links[1:]]) == [one.der for one in links[:10]]


def test_chain_ends_with_what_issued_itself_although_a_namesake_has_its_key() -> None:
    root = authority("Root")
    renewed = authority("Root", key=root.key, days=400)
    leaf = issued(root)

    assert chain(root.der, [renewed.der]) == [root.der]
    assert chain(leaf.der, [root.der, renewed.der]) == [leaf.der, root.der]
    assert chain(leaf.der, [renewed.der, root.der]) == [leaf.der, renewed.der]


def test_chain_does_not_go_round() -> None:
    first, second = authority("First"), authority("Second")
    crossed, again = (issued(second, "First", ca=True, key=first.key) for _ in range(2))
    back = issued(first, "Second", ca=True, key=second.key)
    leaf = issued(first)

    assert chain(leaf.der, [crossed.der, back.der, again.der]) == [leaf.der, crossed.der, back.der]


def test_forty_signatures_are_compared_and_no_more() -> None:
    key, root = ec_key(), authority("Root")
    namesakes = [authority("Namesake", key=key).der for _ in range(6)]
    leaves = [issued(root, f"leaf {number}").der for number in range(4)]

    assert len(issuers([*namesakes, root.der, *leaves[:3]])) == 10  # 36 + 1 + 3 pairs of one name
    with pytest.raises(Rejected):
        issuers([*namesakes, root.der, *leaves])


def _made_up(name: str, bits: int, exponent: int) -> bytes:
    """A self-issued certificate with an RSA key that is made up."""
    key = rsa.RSAPublicNumbers(exponent, 1 << (bits - 1) | 1).public_key()
    named, like = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), authority().certificate
    builder = (
        x509.CertificateBuilder(issuer_name=named, subject_name=named, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(like.not_valid_before_utc)
        .not_valid_after(like.not_valid_after_utc)
    )
    return builder.sign(ec_key(), hashes.SHA256()).public_bytes(Encoding.DER)


def test_signatures_are_compared_for_25_milliseconds_and_no_longer() -> None:
    costliest = [_made_up("Namesake", 8192, 2**64 - 1) for _ in range(5)]  # of 1 ms each

    assert len(issuers(costliest)) == 5
    with pytest.raises(Rejected):
        issuers([*costliest, authority().der])


def test_what_is_not_computed_costs_nothing_and_saves_nothing() -> None:
    not_computed = [_made_up("Other", 16384, 65537) for _ in range(6)]
    key = ec_key(ec.SECP384R1())
    namesakes = [authority("Namesake", key=key).der for _ in range(6)]

    assert len(issuers(not_computed)) == 6
    with pytest.raises(Rejected):
        issuers([*namesakes, *not_computed[:2]])
