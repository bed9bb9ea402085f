"""Decides access checks with Samba's evaluator: the oracle of samba_access_test.cc.

Each line of standard input has a self-relative descriptor in hexadecimal, the rights asked for in
hexadecimal, the privileges by number, and the SIDs of a token, the user first, separated by tabs;
privileges and SIDs by commas. A line of output for each has the rights granted in hexadecimal, or
"denied", and the descriptor as Samba writes it in SDDL. Ends with 77 where Samba's Python modules are
missing.
"""
import sys

try:
    from samba import NTSTATUSError, security as evaluator
    from samba.dcerpc import security
    from samba.ndr import ndr_unpack
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(77)

# A privilege's LUID is its number in Samba's token, which keeps them as a mask (librpc/idl).
PRIVILEGES = {8: security.SEC_PRIV_SECURITY, 9: security.SEC_PRIV_TAKE_OWNERSHIP}


def token_of(sids, privileges):
    token = security.token()
    token.sids = [security.dom_sid(sid) for sid in sids]
    token.num_sids = len(sids)
    for privilege in privileges:
        token.set_privilege(PRIVILEGES[privilege])
    return token


def decide(descriptor, token, desired):
    try:
        return format(evaluator.access_check(descriptor, token, desired), "x")
    except NTSTATUSError:
        return "denied"


for line in sys.stdin:
    image, desired, privileges, sids = line.rstrip("\n").split("\t")
    descriptor = ndr_unpack(security.descriptor, bytes.fromhex(image))
    token = token_of(sids.split(","), [int(one) for one in privileges.split(",") if one])
    print(decide(descriptor, token, int(desired, 16)), descriptor.as_sddl(), sep="\t")
