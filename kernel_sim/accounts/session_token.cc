#include "kernel_sim/accounts/session_token.h"

#include <array>
#include <new>
#include <optional>
#include <vector>

#include "kernel_sim/security/access_mask.h"
#include "kernel_sim/security/acl.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::accounts {
namespace {

using security::Privilege;
using security::PrivilegeSet;
using security::Sid;
using security::TokenGroup;

constexpr Sid kNetworkSid(5, {2});
constexpr Sid kBatchSid(5, {3});
constexpr Sid kInteractiveSid(5, {4});
constexpr Sid kServiceSid(5, {6});
constexpr Sid kTlsAuthenticationSid(5, {64, 14});
constexpr Sid kDigestAuthenticationSid(5, {64, 21});

constexpr std::uint32_t kGroupLogonId = 0xC0000000;
constexpr std::uint32_t kEnabledGroup =
    security::kGroupMandatory | security::kGroupEnabledByDefault | security::kGroupEnabled;

// Enabled in every token that has them; the others wait until their owner enables them.
constexpr PrivilegeSet kEnabledAlways = {Privilege::kChangeNotify, Privilege::kImpersonate,
                                         Privilege::kCreateGlobal};

const Sid& SidOf(LogonType type) {
  switch (type) {
    case LogonType::kBatch:
      return kBatchSid;
    case LogonType::kService:
      return kServiceSid;
    case LogonType::kNetwork:
    case LogonType::kNetworkCleartext:
      return kNetworkSid;
    case LogonType::kInteractive:
    case LogonType::kNewCredentials:
      break;
  }
  return kInteractiveSid;
}

std::array<char, 8> SourceOf(Authority authority) {
  switch (authority) {
    case Authority::kTls:
      return {'S', 'c', 'h', 'a', 'n', 'n', 'e', 'l'};
    case Authority::kDigest:
      return {'W', 'D', 'i', 'g', 'e', 's', 't', ' '};
    case Authority::kLogon:
      break;
  }
  return {'k', 't', 'l', 's', 'i', 'm', ' ', ' '};
}

std::vector<TokenGroup> GroupsOf(const SessionTokenRequest& request) {
  std::vector<TokenGroup> groups = {{security::kWorldSid}, {security::kAuthenticatedUserSid}};
  const auto add = [&](const Sid& sid) {
    const bool administrators = sid == security::kAdministratorsSid;
    groups.push_back({sid, kEnabledGroup | (administrators ? security::kGroupOwner : 0U)});
  };
  for (const Sid& sid : request.account.groups) add(sid);
  for (const Sid& sid : request.more_groups) add(sid);
  add(SidOf(request.session->facts().type));
  if (request.authority == Authority::kTls) add(kTlsAuthenticationSid);
  if (request.authority == Authority::kDigest) add(kDigestAuthenticationSid);
  groups.push_back({request.session->logon_sid(), kEnabledGroup | kGroupLogonId});
  return groups;
}

security::TokenPrivileges PrivilegesOf(const SessionTokenRequest& request) {
  PrivilegeSet held = request.account.privileges;
  request.more_privileges.ForEach([&](Privilege one) { held.Add(one); });
  // A server that acts for somebody on the network cannot ask to enable more.
  const LogonType type = request.session->facts().type;
  const bool all = type == LogonType::kNetwork || type == LogonType::kNetworkCleartext;
  const PrivilegeSet enabled = all ? held : held.And(kEnabledAlways);
  return {.held = held, .enabled = enabled, .enabled_by_default = enabled};
}

// What the client makes belongs to it and to the system.
class DefaultDacl {
 public:
  explicit DefaultDacl(security::SidView user) {
    good_ = security::InitializeAcl(bytes_, security::kAclRevision) == security::Fault::kNone &&
            Allow(user) && Allow(security::kLocalSystemSid);
  }
  std::optional<security::AclView> view() const {
    if (!good_) return std::nullopt;
    return security::AclView::Read(bytes_);
  }

 private:
  bool Allow(security::SidView sid) {
    return security::AppendAce(bytes_.data(), security::kAclRevision,
                               {.mask = security::kGenericAll, .sid = sid}) ==
           security::Fault::kNone;
  }

  alignas(8) std::array<std::byte, 2 * (8 + security::kSidBytesMax) + 8> bytes_{};
  bool good_ = false;
};

}  // namespace

security::Fault MakeSessionToken(const SessionTokenRequest& request,
                                 security::Token::Ref* token) try {
  const std::vector<TokenGroup> groups = GroupsOf(request);
  const DefaultDacl dacl(request.account.sid);
  bool administrator = false;
  for (const TokenGroup& group : groups) {
    administrator = administrator || group.sid == security::kAdministratorsSid;
  }
  security::TokenContents contents;
  contents.user = request.account.sid;
  contents.groups = groups;
  contents.privileges = PrivilegesOf(request);
  contents.default_dacl = dacl.view();
  contents.token_id = request.token_id;
  contents.authentication_id = request.session->facts().id;
  contents.source.name = SourceOf(request.authority);
  contents.type = request.type;
  contents.level = request.level;
  contents.integrity = administrator ? security::kHighIntegrity : security::kMediumIntegrity;
  contents.logon_session = request.session;
  return security::Token::Create(contents, token);
} catch (const std::bad_alloc&) {
  return security::Fault::kNoMemory;
}

}  // namespace ktlsim::accounts
