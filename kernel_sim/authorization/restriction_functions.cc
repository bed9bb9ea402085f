// What a token has and what less it may have: PrivilegeCheck, CheckTokenMembership,
// CreateRestrictedToken; and acting as nobody.

#include <ktlsim/security.h>

#include <utility>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/impersonation.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/security/access_check.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::Sid;
using security::SidView;
using security::Token;

constexpr std::size_t kPrivilegeArray = offsetof(PRIVILEGE_SET, Privilege);

struct RequiredPrivileges {
  std::vector<LUID_AND_ATTRIBUTES> entries;
  security::PrivilegeSet set;
  bool strangers = false;  // no token has them
};

Fault ReadRequired(const void* from, RequiredPrivileges* required) {
  const auto count = LoadFrom<DWORD>(from);
  if (count > kPrivilegesToNameMax) return Fault::kInvalidParameter;
  for (DWORD i = 0; i < count; ++i) {
    const auto one = LoadElement<LUID_AND_ATTRIBUTES>(from, kPrivilegeArray, i);
    const auto privilege = security::PrivilegeOf({one.Luid.LowPart, one.Luid.HighPart});
    if (privilege) required->set.Add(*privilege);
    required->strangers = required->strangers || !privilege;
    required->entries.push_back(one);
  }
  return Fault::kNone;
}

void MarkUsed(const RequiredPrivileges& required, security::PrivilegeSet used, void* set) {
  auto* const array = static_cast<std::byte*>(set) + kPrivilegeArray;
  for (std::size_t i = 0; i < required.entries.size(); ++i) {
    LUID_AND_ATTRIBUTES one = required.entries[i];
    const auto privilege = security::PrivilegeOf({one.Luid.LowPart, one.Luid.HighPart});
    if (!privilege || !used.Has(*privilege)) continue;
    one.Attributes |= SE_PRIVILEGE_USED_FOR_ACCESS;
    StoreTo(array + i * sizeof(one), one);
  }
}

Fault CheckRequired(HANDLE handle, void* set, LPBOOL result) {
  if (set == nullptr || result == nullptr) return Fault::kNoAccess;
  NamedToken named;
  Fault fault = FindNamed(handle, TOKEN_QUERY, &named);
  if (fault != Fault::kNone) return fault;
  RequiredPrivileges required;
  fault = ReadRequired(set, &required);
  if (fault != Fault::kNone) return fault;
  const auto control = LoadElement<DWORD>(set, offsetof(PRIVILEGE_SET, Control), 0);
  const bool all = (control & PRIVILEGE_SET_ALL_NECESSARY) != 0;
  bool held = false;
  security::PrivilegeSet used;
  fault = security::CheckPrivileges(*named.token->state(), required.set, all, &held, &used);
  if (fault != Fault::kNone) return fault;
  MarkUsed(required, used, set);
  StoreTo<BOOL>(result, held && !(all && required.strangers) ? TRUE : FALSE);
  return Fault::kNone;
}

// The token that CheckTokenMembership asks; NULL is whoever the thread acts as.
Fault FindMember(HANDLE handle, Token::Ref* token) {
  if (handle == nullptr) {
    const Token::Ref thread = ThreadToken();
    *token = thread != nullptr ? thread : ProcessToken();
    if (*token == nullptr) return Fault::kNoMemory;
    return thread != nullptr ? security::CheckClientToken(*thread->state()) : Fault::kNone;
  }
  NamedToken named;
  const Fault fault = FindNamed(handle, TOKEN_QUERY, &named);
  if (fault != Fault::kNone) return fault;
  *token = named.token;
  return security::CheckClientToken(*named.token->state());
}

Fault CheckMembership(HANDLE handle, PSID member, PBOOL is_member) {
  if (is_member == nullptr) return Fault::kNoAccess;
  Sid sid;
  const Fault sid_fault = CaptureSid(member, &sid);
  // Only now: the result may lie in the SID.
  StoreTo<BOOL>(is_member, FALSE);
  Token::Ref token;
  const Fault fault = FindMember(handle, &token);
  if (fault != Fault::kNone) return fault;
  if (sid_fault != Fault::kNone) return sid_fault;
  StoreTo<BOOL>(is_member, token->state()->IsMember(sid) ? TRUE : FALSE);
  return Fault::kNone;
}

// An argument of CreateRestrictedToken.
template <typename Element>
struct ArrayOf {
  DWORD count;
  const Element* at;

  Fault Judge(std::size_t most) const {
    if (count > most) return Fault::kInvalidParameter;
    return count != 0 && at == nullptr ? Fault::kNoAccess : Fault::kNone;
  }
};
using SidsArgument = ArrayOf<SID_AND_ATTRIBUTES>;

// Attributes are ignored, or have to be 0.
Fault ReadSids(const SidsArgument& array, bool attributes, std::vector<Sid>* sids) {
  if (const Fault fault = array.Judge(security::kTokenSidsMax); fault != Fault::kNone) return fault;
  for (DWORD i = 0; i < array.count; ++i) {
    const auto one = LoadElement<SID_AND_ATTRIBUTES>(array.at, 0, i);
    if (!attributes && one.Attributes != 0) return Fault::kInvalidParameter;
    Sid sid;
    if (const Fault fault = CaptureSid(one.Sid, &sid); fault != Fault::kNone) return fault;
    sids->push_back(sid);
  }
  return Fault::kNone;
}

Fault ReadRemoved(const ArrayOf<LUID_AND_ATTRIBUTES>& array, security::PrivilegeSet* removed) {
  if (const Fault fault = array.Judge(kPrivilegesToNameMax); fault != Fault::kNone) return fault;
  for (DWORD i = 0; i < array.count; ++i) {
    const auto one = LoadElement<LUID_AND_ATTRIBUTES>(array.at, 0, i);
    const auto privilege = security::PrivilegeOf({one.Luid.LowPart, one.Luid.HighPart});
    if (privilege) removed->Add(*privilege);
  }
  return Fault::kNone;
}

struct RestrictionArguments {
  DWORD flags;
  SidsArgument disable;
  ArrayOf<LUID_AND_ATTRIBUTES> remove;
  SidsArgument restricting;
};

struct ReadRestriction {
  std::vector<Sid> disable;
  security::PrivilegeSet remove;
  std::vector<Sid> restricting;
};

Fault ReadArguments(const RestrictionArguments& arguments, ReadRestriction* read) {
  constexpr DWORD kFlags = DISABLE_MAX_PRIVILEGE | SANDBOX_INERT | LUA_TOKEN | WRITE_RESTRICTED;
  if ((arguments.flags & ~kFlags) != 0) return Fault::kInvalidParameter;
  Fault fault = ReadSids(arguments.disable, true, &read->disable);
  if (fault == Fault::kNone) fault = ReadRemoved(arguments.remove, &read->remove);
  if (fault == Fault::kNone) fault = ReadSids(arguments.restricting, false, &read->restricting);
  return fault;
}

Fault CreateRestricted(HANDLE handle, const RestrictionArguments& arguments, PHANDLE made) {
  if (made == nullptr) return Fault::kNoAccess;
  ReadRestriction read;
  Fault fault = ReadArguments(arguments, &read);
  if (fault != Fault::kNone) return fault;
  NamedToken named;
  fault = FindNamed(handle, TOKEN_DUPLICATE, &named);
  if (fault != Fault::kNone) return fault;
  const std::vector<SidView> disable(read.disable.begin(), read.disable.end());
  const std::vector<SidView> restricting(read.restricting.begin(), read.restricting.end());
  Token::Ref copy;
  fault = named.token->Restrict(
      {.disable = disable,
       .remove = read.remove,
       .keep_change_notify_only = (arguments.flags & DISABLE_MAX_PRIVILEGE) != 0,
       .restricting = restricting,
       .write_restricted = (arguments.flags & WRITE_RESTRICTED) != 0,
       .sandbox_inert = (arguments.flags & SANDBOX_INERT) != 0,
       .standard_user = (arguments.flags & LUA_TOKEN) != 0},
      NextLuid(), &copy);
  if (fault != Fault::kNone) return fault;
  HandleValue opened = nullptr;
  fault = OpenToken(std::move(copy), named.access, &opened);
  if (fault == Fault::kNone) StoreTo(static_cast<void*>(made), opened);
  return fault;
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim::authorization;  // NOLINT: the C API below is this file's whole point

extern "C" {

BOOL PrivilegeCheck(HANDLE ClientToken, PPRIVILEGE_SET RequiredPrivileges, LPBOOL pfResult) {
  return TellCaller([&] { return CheckRequired(ClientToken, RequiredPrivileges, pfResult); });
}

BOOL CheckTokenMembership(HANDLE TokenHandle, PSID SidToCheck, PBOOL IsMember) {
  return TellCaller([&] { return CheckMembership(TokenHandle, SidToCheck, IsMember); });
}

BOOL CreateRestrictedToken(HANDLE ExistingTokenHandle, DWORD Flags, DWORD DisableSidCount,
                           PSID_AND_ATTRIBUTES SidsToDisable, DWORD DeletePrivilegeCount,
                           PLUID_AND_ATTRIBUTES PrivilegesToDelete, DWORD RestrictedSidCount,
                           PSID_AND_ATTRIBUTES SidsToRestrict, PHANDLE NewTokenHandle) {
  return TellCaller([&] {
    return CreateRestricted(ExistingTokenHandle,
                            {.flags = Flags,
                             .disable = {DisableSidCount, SidsToDisable},
                             .remove = {DeletePrivilegeCount, PrivilegesToDelete},
                             .restricting = {RestrictedSidCount, SidsToRestrict}},
                            NewTokenHandle);
  });
}

BOOL ImpersonateAnonymousToken(HANDLE ThreadHandle) {
  return TellCaller([&] {
    return IsPseudo(ThreadHandle, kCurrentThread) ? ImpersonateAnonymous()
                                                  : ktlsim::security::Fault::kInvalidHandle;
  });
}

}  // extern "C"
