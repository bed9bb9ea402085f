// GetTokenInformation: what a token has, as one block of memory.

#include <ktlsim/security.h>

#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "kernel_sim/authorization/caller.h"
#include "kernel_sim/authorization/token_block.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::authorization {
namespace {

using security::Fault;
using security::Privilege;
using security::Sid;
using security::SidView;
using security::TokenState;

constexpr std::uint32_t kLabelAttributes = SE_GROUP_INTEGRITY | SE_GROUP_INTEGRITY_ENABLED;
constexpr std::uint32_t kLogonId = SE_GROUP_LOGON_ID;

// One of TOKEN_USER and its like: a structure of one SID.
void AddSid(Block& block, const NamedSid& one) {
  const std::size_t at = block.Reserve(sizeof(SID_AND_ATTRIBUTES));
  block.Store(at, SID_AND_ATTRIBUTES{block.Place(one.sid.image()), one.attributes});
}

void AddSidPointer(Block& block, SidView sid) {
  const std::size_t at = block.Reserve(sizeof(PSID));
  block.Store(at, block.Place(sid.image()));
}

std::vector<NamedSid> SidsOf(const TokenState& state, std::size_t first) {
  std::vector<NamedSid> sids;
  for (std::size_t i = first; i < state.sids().size(); ++i) {
    sids.push_back({state.sids()[i], state.attributes(i)});
  }
  return sids;
}

std::vector<NamedSid> RestrictingSidsOf(const TokenState& state) {
  std::vector<NamedSid> sids;
  const std::optional<security::SidTable>& restricting = state.identity().restricting;
  if (!restricting) return sids;
  for (const Sid& sid : restricting->all()) {
    sids.push_back({sid, SE_GROUP_MANDATORY | SE_GROUP_ENABLED_BY_DEFAULT | SE_GROUP_ENABLED});
  }
  return sids;
}

std::vector<NamedSid> LogonSidsOf(const TokenState& state) {
  std::vector<NamedSid> sids = SidsOf(state, 1);
  std::erase_if(sids, [](const NamedSid& one) { return (one.attributes & kLogonId) != kLogonId; });
  return sids;
}

LUID PublicLuid(security::Luid luid) { return {luid.low, luid.high}; }

std::vector<LUID_AND_ATTRIBUTES> PrivilegesOf(const TokenState& state) {
  std::vector<LUID_AND_ATTRIBUTES> privileges;
  const security::TokenPrivileges& has = state.privileges();
  has.held.ForEach([&](Privilege one) {
    privileges.push_back({PublicLuid(security::LuidOf(one)), has.AttributesOf(one)});
  });
  return privileges;
}

void AddPrivileges(Block& block, const TokenState& state) {
  const std::vector<LUID_AND_ATTRIBUTES> privileges = PrivilegesOf(state);
  constexpr std::size_t kArray = offsetof(TOKEN_PRIVILEGES, Privileges);
  const std::size_t bytes = privileges.size() * sizeof(LUID_AND_ATTRIBUTES);
  const std::size_t at = block.Reserve(kArray + bytes);
  block.Store(at, static_cast<DWORD>(privileges.size()));
  for (std::size_t i = 0; i < privileges.size(); ++i) {
    block.Store(at + kArray + i * sizeof(LUID_AND_ATTRIBUTES), privileges[i]);
  }
}

void AddDefaultDacl(Block& block, const TokenState& state) {
  const std::size_t at = block.Reserve(sizeof(TOKEN_DEFAULT_DACL));
  const std::optional<security::AclView> dacl = state.default_dacl();
  block.Store(at, dacl ? block.Place(dacl->image()) : nullptr);
}

TOKEN_SOURCE SourceOf(const TokenState& state) {
  TOKEN_SOURCE source{};
  const security::TokenSource& from = state.identity().source;
  std::memcpy(source.SourceName, from.name.data(), from.name.size());
  source.SourceIdentifier = PublicLuid(from.id);
  return source;
}

DWORD LevelNumber(const TokenState& state) {
  return state.type() == security::TokenType::kImpersonation ? static_cast<DWORD>(state.level())
                                                             : 0;
}

TOKEN_STATISTICS StatisticsOf(const TokenState& state) {
  TOKEN_STATISTICS statistics{};
  statistics.TokenId = PublicLuid(state.token_id());
  statistics.AuthenticationId = PublicLuid(state.identity().authentication_id);
  statistics.ExpirationTime.QuadPart = state.identity().expiration;
  statistics.TokenType = static_cast<TOKEN_TYPE>(state.type());
  statistics.ImpersonationLevel = static_cast<SECURITY_IMPERSONATION_LEVEL>(LevelNumber(state));
  statistics.GroupCount = static_cast<DWORD>(state.sids().size() - 1);
  statistics.PrivilegeCount = static_cast<DWORD>(state.privileges().held.count());
  statistics.ModifiedId = PublicLuid(state.modified_id());
  return statistics;
}

void AddGroupsAndPrivileges(Block& block, const TokenState& state) {
  const std::size_t at = block.Reserve(sizeof(TOKEN_GROUPS_AND_PRIVILEGES));
  TOKEN_GROUPS_AND_PRIVILEGES all{};
  const auto add = [&block](const std::vector<NamedSid>& sids) {
    return AddSids(block, block.Reserve(sids.size() * sizeof(SID_AND_ATTRIBUTES)), sids);
  };
  const SidArray sids = add(SidsOf(state, 0));
  all.SidCount = sids.count;
  all.SidLength = sids.bytes;
  all.Sids = static_cast<PSID_AND_ATTRIBUTES>(sids.address);
  if (state.restricted()) {
    const SidArray restricting = add(RestrictingSidsOf(state));
    all.RestrictedSidCount = restricting.count;
    all.RestrictedSidLength = restricting.bytes;
    all.RestrictedSids = static_cast<PSID_AND_ATTRIBUTES>(restricting.address);
  }
  const std::vector<LUID_AND_ATTRIBUTES> privileges = PrivilegesOf(state);
  all.PrivilegeCount = static_cast<DWORD>(privileges.size());
  all.PrivilegeLength = static_cast<DWORD>(privileges.size() * sizeof(LUID_AND_ATTRIBUTES));
  all.Privileges =
      static_cast<PLUID_AND_ATTRIBUTES>(block.Place(std::as_bytes(std::span(privileges))));
  all.AuthenticationId = PublicLuid(state.identity().authentication_id);
  block.Store(at, all);
}

// False: another class.
bool AddNumber(Block& block, const TokenState& state, TOKEN_INFORMATION_CLASS which) {
  std::optional<DWORD> number;
  switch (static_cast<int>(which)) {
    case ::TokenType:
      number = static_cast<DWORD>(state.type());
      break;
    case TokenImpersonationLevel:
      number = LevelNumber(state);
      break;
    case TokenSessionId:
      number = state.session_id();
      break;
    case TokenSandBoxInert:
      number = state.sandbox_inert() ? 1 : 0;
      break;
    case TokenElevationType:
      number = TokenElevationTypeDefault;
      break;
    case TokenElevation:
      number = state.IsMember(security::kAdministratorsSid) ? 1 : 0;
      break;
    case TokenHasRestrictions:
    case TokenIsRestricted:
      number = state.restricted() ? 1 : 0;
      break;
    case TokenMandatoryPolicy:
      number = 1;  // no writing up
      break;
    case TokenIsAppContainer:
      number = 0;
      break;
    default:
      return false;
  }
  block.Append(*number);
  return true;
}

Fault Describe(const TokenState& state, TOKEN_INFORMATION_CLASS which, Block* block) {
  switch (static_cast<int>(which)) {
    case TokenUser:
      AddSid(*block, {state.user(), state.attributes(0)});
      return Fault::kNone;
    case TokenGroups:
      AddGroups(*block, SidsOf(state, 1));
      return Fault::kNone;
    case TokenPrivileges:
      AddPrivileges(*block, state);
      return Fault::kNone;
    case TokenOwner:
      AddSidPointer(*block, state.owner());
      return Fault::kNone;
    case TokenPrimaryGroup:
      AddSidPointer(*block, state.primary_group());
      return Fault::kNone;
    case TokenDefaultDacl:
      AddDefaultDacl(*block, state);
      return Fault::kNone;
    case ::TokenSource:
      block->Append(SourceOf(state));
      return Fault::kNone;
    case TokenStatistics:
      block->Append(StatisticsOf(state));
      return Fault::kNone;
    case TokenRestrictedSids:
      AddGroups(*block, RestrictingSidsOf(state));
      return Fault::kNone;
    case TokenGroupsAndPrivileges:
      AddGroupsAndPrivileges(*block, state);
      return Fault::kNone;
    case TokenOrigin:
      block->Append(TOKEN_ORIGIN{PublicLuid(state.identity().origin)});
      return Fault::kNone;
    case TokenIntegrityLevel:
      AddSid(*block, {Sid(security::kLabelAuthority, {state.integrity()}), kLabelAttributes});
      return Fault::kNone;
    case TokenLogonSid:
      AddGroups(*block, LogonSidsOf(state));
      return Fault::kNone;
    case TokenImpersonationLevel:
      if (state.type() == security::TokenType::kPrimary) return Fault::kInvalidParameter;
      break;
    default:
      break;
  }
  return AddNumber(*block, state, which) ? Fault::kNone : Fault::kInvalidParameter;
}

Fault GetInformation(HANDLE handle, TOKEN_INFORMATION_CLASS which, void* buffer, DWORD room,
                     PDWORD needed) {
  if (needed == nullptr || (buffer == nullptr && room != 0)) return Fault::kNoAccess;
  NamedToken named;
  Fault fault =
      FindNamed(handle, which == ::TokenSource ? TOKEN_QUERY_SOURCE : TOKEN_QUERY, &named);
  if (fault != Fault::kNone) return fault;
  Block block(buffer);
  fault = Describe(*named.token->state(), which, &block);
  if (fault != Fault::kNone) return fault;
  const std::span<const std::byte> bytes = block.bytes();
  *needed = static_cast<DWORD>(bytes.size());
  if (bytes.size() > room) return Fault::kInsufficientBuffer;
  std::memcpy(buffer, bytes.data(), bytes.size());
  return Fault::kNone;
}

}  // namespace
}  // namespace ktlsim::authorization

extern "C" BOOL GetTokenInformation(HANDLE TokenHandle,
                                    TOKEN_INFORMATION_CLASS TokenInformationClass,
                                    LPVOID TokenInformation, DWORD TokenInformationLength,
                                    PDWORD ReturnLength) {
  using namespace ktlsim::authorization;  // NOLINT: this is its border
  return TellCaller([&] {
    return GetInformation(TokenHandle, TokenInformationClass, TokenInformation,
                          TokenInformationLength, ReturnLength);
  });
}
