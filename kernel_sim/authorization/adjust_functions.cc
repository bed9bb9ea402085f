// Changing a token: AdjustTokenPrivileges, AdjustTokenGroups and SetTokenInformation.

#include <ktlsim/security.h>

#include <utility>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/process_token.h"
#include "kernel_sim/authorization/token_block.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::GroupChange;
using security::PrivilegeChange;
using security::Sid;
using security::Token;

// Where the caller wants what was before. Null: nowhere.
struct PreviousState {
  void* at;
  DWORD room;
  PDWORD needed;

  bool wanted() const { return at != nullptr; }
  // Tells the caller how much it is. False: it does not fit.
  bool Fits(std::size_t bytes) const {
    if (!wanted()) return true;
    StoreTo(needed, static_cast<DWORD>(bytes));
    return bytes <= room;
  }
};

// The last error is set when it succeeds, too: whether all was assigned.
template <typename Call>
BOOL TellAdjustment(Call&& call) noexcept {
  bool all = true;
  const BOOL done = TellCaller([&] {
    const Fault fault = call();
    all = fault != Fault::kNotAllAssigned;
    return all ? fault : Fault::kNone;
  });
  if (done == TRUE) ktlsim::SetLastError(all ? ERROR_SUCCESS : ERROR_NOT_ALL_ASSIGNED);
  return done;
}

Fault FindToAdjust(HANDLE handle, DWORD access, const PreviousState& previous, NamedToken* named) {
  if (previous.wanted() && previous.needed == nullptr) return Fault::kNoAccess;
  return FindNamed(handle, access | (previous.wanted() ? TOKEN_QUERY : 0), named);
}

// Both may be true: what is known is done.
struct WantedPrivileges {
  std::vector<PrivilegeChange> changes;
  bool strangers = false;
};

Fault ReadPrivileges(const void* from, WantedPrivileges* wanted) {
  if (from == nullptr) return Fault::kInvalidParameter;
  const auto count = LoadFrom<DWORD>(from);
  if (count > kPrivilegesToNameMax) return Fault::kInvalidParameter;
  for (DWORD i = 0; i < count; ++i) {
    const auto one =
        LoadElement<LUID_AND_ATTRIBUTES>(from, offsetof(TOKEN_PRIVILEGES, Privileges), i);
    if (const auto privilege = security::PrivilegeOf({one.Luid.LowPart, one.Luid.HighPart})) {
      wanted->changes.push_back({*privilege, one.Attributes});
    } else {
      wanted->strangers = true;
    }
  }
  return Fault::kNone;
}

constexpr std::size_t BytesOfPrivileges(std::size_t count) {
  return offsetof(TOKEN_PRIVILEGES, Privileges) + count * sizeof(LUID_AND_ATTRIBUTES);
}

void StorePrevious(std::span<const PrivilegeChange> before, void* at) {
  StoreTo(at, static_cast<DWORD>(before.size()));
  for (std::size_t i = 0; i < before.size(); ++i) {
    const security::Luid luid = security::LuidOf(before[i].privilege);
    StoreTo(static_cast<std::byte*>(at) + BytesOfPrivileges(i),
            LUID_AND_ATTRIBUTES{{luid.low, luid.high}, before[i].attributes});
  }
}

Fault AdjustPrivileges(HANDLE handle, bool disable_all, const void* wishes,
                       const PreviousState& previous) {
  WantedPrivileges wanted;
  Fault fault = disable_all ? Fault::kNone : ReadPrivileges(wishes, &wanted);
  if (fault != Fault::kNone) return fault;
  NamedToken named;
  fault = FindToAdjust(handle, TOKEN_ADJUST_PRIVILEGES, previous, &named);
  if (fault != Fault::kNone) return fault;
  std::vector<PrivilegeChange> before;
  const auto accept = [&](std::span<const PrivilegeChange> changes) {
    before.assign(changes.begin(), changes.end());
    return previous.Fits(BytesOfPrivileges(before.size()));
  };
  fault = disable_all ? named.token->DisableAllPrivileges(NextLuid(), accept)
                      : named.token->AdjustPrivileges(wanted.changes, NextLuid(), accept);
  if (fault != Fault::kNone && fault != Fault::kNotAllAssigned) return fault;
  if (previous.wanted()) StorePrevious(before, previous.at);
  return wanted.strangers ? Fault::kNotAllAssigned : fault;
}

struct WantedGroups {
  std::vector<Sid> sids;
  std::vector<bool> enabled;

  std::vector<Token::GroupWish> Wishes() const {
    std::vector<Token::GroupWish> wishes;
    wishes.reserve(sids.size());
    for (std::size_t i = 0; i < sids.size(); ++i) wishes.push_back({sids[i], enabled[i]});
    return wishes;
  }
};

Fault ReadGroups(const void* from, WantedGroups* wanted) {
  if (from == nullptr) return Fault::kInvalidParameter;
  const auto count = LoadFrom<DWORD>(from);
  if (count > security::kTokenSidsMax) return Fault::kInvalidParameter;
  for (DWORD i = 0; i < count; ++i) {
    const auto one = LoadElement<SID_AND_ATTRIBUTES>(from, offsetof(TOKEN_GROUPS, Groups), i);
    Sid sid;
    if (const Fault fault = CaptureSid(one.Sid, &sid); fault != Fault::kNone) return fault;
    wanted->sids.push_back(sid);
    wanted->enabled.push_back((one.Attributes & SE_GROUP_ENABLED) != 0);
  }
  return Fault::kNone;
}

// What groups were like before, as TOKEN_GROUPS at `base`.
Block BlockOfGroups(const security::TokenState& state, std::span<const GroupChange> before,
                    const void* base) {
  std::vector<NamedSid> groups;
  groups.reserve(before.size());
  for (const GroupChange& one : before) {
    groups.push_back({state.sids()[one.index], one.attributes});
  }
  Block block(base);
  AddGroups(block, groups);
  return block;
}

Fault AdjustGroups(HANDLE handle, bool reset, const void* wishes, const PreviousState& previous) {
  WantedGroups wanted;
  Fault fault = reset ? Fault::kNone : ReadGroups(wishes, &wanted);
  if (fault != Fault::kNone) return fault;
  NamedToken named;
  fault = FindToAdjust(handle, TOKEN_ADJUST_GROUPS, previous, &named);
  if (fault != Fault::kNone) return fault;
  const security::TokenStateRef state = named.token->state();  // its SIDs are those of all states
  std::vector<std::byte> before;
  const auto accept = [&](std::span<const GroupChange> changes) {
    const Block block = BlockOfGroups(*state, changes, previous.at);
    before.assign(block.bytes().begin(), block.bytes().end());
    return previous.Fits(before.size());
  };
  fault = reset ? named.token->ResetGroups(NextLuid(), accept)
                : named.token->AdjustGroups(wanted.Wishes(), NextLuid(), accept);
  const bool done = fault == Fault::kNone || fault == Fault::kNotAllAssigned;
  if (done && previous.wanted()) std::memcpy(previous.at, before.data(), before.size());
  return fault;
}

// What SetTokenInformation needs for a class.
struct Settable {
  DWORD bytes;
  DWORD access;
};

std::optional<Settable> SettableOf(TOKEN_INFORMATION_CLASS which) {
  switch (static_cast<int>(which)) {
    case TokenOwner:
    case TokenPrimaryGroup:
    case TokenDefaultDacl:
      return Settable{sizeof(void*), TOKEN_ADJUST_DEFAULT};
    case TokenSessionId:
      return Settable{sizeof(DWORD), TOKEN_ADJUST_SESSIONID};
    default:
      return std::nullopt;
  }
}

Fault SetDefaultDacl(Token& token, const void* dacl) {
  if (dacl == nullptr) return token.SetDefaultDacl(std::nullopt, NextLuid());
  std::vector<std::byte> acl;
  const Fault fault = CaptureAcl(dacl, &acl);
  return fault != Fault::kNone ? fault
                               : token.SetDefaultDacl(security::AclView::Read(acl), NextLuid());
}

// The process has to be part of the system, whoever the thread acts as.
Fault SetSession(Token& token, DWORD session) {
  const Token::Ref& process = ProcessToken();
  if (process == nullptr) return Fault::kNoMemory;
  if (!process->state()->privileges().enabled.Has(security::Privilege::kTcb)) {
    return Fault::kPrivilegeNotHeld;
  }
  return token.SetSessionId(session, NextLuid());
}

Fault SetInformation(HANDLE handle, TOKEN_INFORMATION_CLASS which, const void* from, DWORD bytes) {
  const std::optional<Settable> settable = SettableOf(which);
  if (!settable) return Fault::kInvalidParameter;
  if (bytes < settable->bytes) return Fault::kBadLength;
  if (from == nullptr) return Fault::kNoAccess;
  NamedToken named;
  Fault fault = FindNamed(handle, settable->access, &named);
  if (fault != Fault::kNone) return fault;
  if (which == TokenSessionId) return SetSession(*named.token, LoadFrom<DWORD>(from));
  const void* const part = LoadFrom<void*>(from);
  if (which == TokenDefaultDacl) return SetDefaultDacl(*named.token, part);
  Sid sid;
  fault = CaptureSid(part, &sid);
  if (fault != Fault::kNone) return fault;
  return which == TokenOwner ? named.token->SetOwner(sid, NextLuid())
                             : named.token->SetPrimaryGroup(sid, NextLuid());
}

}  // namespace
}  // namespace ktlsim::authorization

using namespace ktlsim::authorization;  // NOLINT: the C API below is this file's whole point

extern "C" {

BOOL AdjustTokenPrivileges(HANDLE TokenHandle, BOOL DisableAllPrivileges,
                           PTOKEN_PRIVILEGES NewState, DWORD BufferLength,
                           PTOKEN_PRIVILEGES PreviousState, PDWORD ReturnLength) {
  return TellAdjustment([&] {
    return AdjustPrivileges(TokenHandle, DisableAllPrivileges != FALSE, NewState,
                            {PreviousState, BufferLength, ReturnLength});
  });
}

BOOL AdjustTokenGroups(HANDLE TokenHandle, BOOL ResetToDefault, PTOKEN_GROUPS NewState,
                       DWORD BufferLength, PTOKEN_GROUPS PreviousState, PDWORD ReturnLength) {
  return TellAdjustment([&] {
    return AdjustGroups(TokenHandle, ResetToDefault != FALSE, NewState,
                        {PreviousState, BufferLength, ReturnLength});
  });
}

BOOL SetTokenInformation(HANDLE TokenHandle, TOKEN_INFORMATION_CLASS TokenInformationClass,
                         LPVOID TokenInformation, DWORD TokenInformationLength) {
  return TellCaller([&] {
    return SetInformation(TokenHandle, TokenInformationClass, TokenInformation,
                          TokenInformationLength);
  });
}

}  // extern "C"
