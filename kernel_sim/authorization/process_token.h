// The primary token of this process: what it may do, and as whom it acts where no thread
// impersonates. README.md has its contents as a table.
//
// Any thread, up to dispatch level, except that the first use allocates.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <span>

#include "kernel_sim/security/token.h"

namespace ktlsim::authorization {

// Made at the first use, from the Unix ids of the process at that time. Null: no memory.
const security::Token::Ref& ProcessToken();

// Uses `token`, a primary one, instead. False: the process has a token already, which has been
// used, or it is no primary one.
bool UseProcessToken(security::Token::Ref token);

// Who a process is, by Unix. The first group is the primary one.
struct UnixIds {
  uid_t user = 0;
  std::span<const gid_t> groups;
};

// S-1-22-1-uid and S-1-22-2-gid, as Samba has them.
security::Sid SidOfUnixUser(uid_t user);
security::Sid SidOfUnixGroup(gid_t group);

// What ProcessToken makes of these ids. Null: no memory, or too many groups.
security::Token::Ref MakeProcessToken(const UnixIds& ids);

// What a token's user makes belongs to the user and to the system: a list of two entries in
// `memory`. None: the memory is too small.
std::optional<security::AclView> WriteDefaultDacl(security::SidView user,
                                                  std::span<std::byte> memory);

// A number that no token, session or change of a token has had in this process.
security::Luid NextLuid();

}  // namespace ktlsim::authorization
