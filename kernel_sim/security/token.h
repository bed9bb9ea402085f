// Tokens: who somebody is, for an access check (MS-DTYP 2.5.2).
//
// TokenIdentity never changes and is shared by all tokens that were made from it; TokenState is one
// state of a token and never changes either; a Token holds its present state. A check takes a state
// and keeps it for as long as it runs, so that nothing is adjusted under it.
//
// Any level: a Token's lock is held for a few instructions, except that what changes or makes a
// token allocates. Any thread. Who may do what to a token is decided where its handle is looked up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/thread_identity.h"
#include "kernel_sim/base/unix_identity.h"
#include "kernel_sim/security/acl.h"
#include "kernel_sim/security/fault.h"
#include "kernel_sim/security/luid.h"
#include "kernel_sim/security/privileges.h"
#include "kernel_sim/security/sid_table.h"
#include "kernel_sim/security/well_known_sids.h"

namespace ktlsim::security {

enum class TokenType : std::uint8_t { kPrimary = 1, kImpersonation = 2 };

enum class ImpersonationLevel : std::uint8_t {
  kAnonymous = 0,
  kIdentification = 1,
  kImpersonation = 2,
  kDelegation = 3,
};

// Attributes of a group in a token.
inline constexpr std::uint32_t kGroupMandatory = 0x01;
inline constexpr std::uint32_t kGroupEnabledByDefault = 0x02;
inline constexpr std::uint32_t kGroupEnabled = 0x04;
inline constexpr std::uint32_t kGroupOwner = 0x08;
inline constexpr std::uint32_t kGroupDenyOnly = 0x10;

inline constexpr std::size_t kTokenSidsMax = 1024;

struct TokenGroup {
  Sid sid;
  std::uint32_t attributes = kGroupMandatory | kGroupEnabledByDefault | kGroupEnabled;
};

struct TokenSource {
  std::array<char, 8> name{};  // without a null character at the end
  Luid id;
};

// What a logon session keeps for the way to other servers. UTF-8.
struct NetworkCredentials {
  std::string_view user;
  std::string_view domain;  // "": whichever realm asks
  std::string_view password;
};

// A logon session as a token has it: it lives as long as a token that refers to it.
class TokenSession {
 public:
  virtual ~TokenSession() = default;
  // None: it keeps none. They live as long as the session. Any thread, any level.
  virtual std::optional<NetworkCredentials> network_credentials() const = 0;
  // The Unix user of the account. Null: none. As the credentials.
  virtual const UnixIdentity* unix_identity() const { return nullptr; }
  // Of the account, verified at its log-on; "": there is none such. As the credentials.
  virtual std::string_view user_name() const { return {}; }
};

// What a token that is made has. Spans and views need to live until it is made.
struct TokenContents {
  Sid user;
  // A SID that is there already, the user's for example, is left out.
  std::span<const TokenGroup> groups;
  TokenPrivileges privileges;
  std::optional<Sid> owner;          // none: the user
  std::optional<Sid> primary_group;  // none: the user
  std::optional<AclView> default_dacl;
  Luid token_id;
  Luid authentication_id;  // of the logon session
  Luid origin;             // of the logon session that gave explicit credentials; none: 0
  std::shared_ptr<const TokenSession> logon_session;  // null: one that keeps nothing
  TokenSource source;
  std::int64_t expiration = INT64_MAX;
  TokenType type = TokenType::kPrimary;
  ImpersonationLevel level = ImpersonationLevel::kImpersonation;
  std::uint32_t integrity = kMediumIntegrity;
  std::uint32_t session_id = 0;
};

// How a SID is in a token.
enum class SidMatch : std::uint8_t { kNone, kDenyOnly, kEnabled };

// The part that no adjustment touches.
struct TokenIdentity {
  SidTable sids;                        // the user first
  std::optional<SidTable> restricting;  // none: the token is not restricted
  Luid authentication_id;
  Luid origin;
  std::shared_ptr<const TokenSession> logon_session;
  TokenSource source;
  std::int64_t expiration = 0;
};

// A logon session as a token refers to it.
struct SessionReference {
  Luid authentication_id;
  Luid origin;
  std::shared_ptr<const TokenSession> logon_session;
};

class TokenState {
 public:
  const TokenIdentity& identity() const { return *identity_; }
  SidView user() const { return identity_->sids.all()[0]; }
  SidView owner() const { return identity_->sids.all()[owner_]; }
  SidView primary_group() const { return identity_->sids.all()[primary_group_]; }
  std::optional<AclView> default_dacl() const;

  // The user is the first; its attributes are 0 or kGroupDenyOnly.
  std::span<const Sid> sids() const { return identity_->sids.all(); }
  std::uint32_t attributes(std::size_t index) const { return attributes_[index]; }
  std::optional<std::size_t> IndexOf(SidView sid) const { return identity_->sids.Find(sid); }
  const TokenPrivileges& privileges() const { return privileges_; }

  Luid token_id() const { return token_id_; }
  Luid modified_id() const { return modified_id_; }
  TokenType type() const { return type_; }
  // Of an impersonation token only.
  ImpersonationLevel level() const { return level_; }
  std::uint32_t integrity() const { return integrity_; }
  std::uint32_t session_id() const { return session_id_; }

  bool restricted() const { return identity_->restricting.has_value(); }
  // The restricting SIDs count for write access only.
  bool write_restricted() const { return write_restricted_; }
  bool sandbox_inert() const { return sandbox_inert_; }

  // As user or group. `hash` is that of `sid`.
  SidMatch Match(SidView sid, std::uint64_t hash) const {
    const std::optional<std::size_t> index = identity_->sids.Find(sid, hash);
    return index ? MatchAt(*index) : SidMatch::kNone;
  }
  // As one of the restricting SIDs, which are always enabled.
  SidMatch MatchRestricting(SidView sid, std::uint64_t hash) const {
    const std::optional<SidTable>& sids = identity_->restricting;
    return sids && sids->Find(sid, hash) ? SidMatch::kEnabled : SidMatch::kNone;
  }
  // Whether it is enabled; in a restricted token it has to be a restricting SID as well.
  bool IsMember(SidView sid) const;

 private:
  friend class Token;

  SidMatch MatchAt(std::size_t index) const {
    const std::uint32_t attributes = attributes_[index];
    if ((attributes & kGroupDenyOnly) != 0) return SidMatch::kDenyOnly;
    return index == 0 || (attributes & kGroupEnabled) != 0 ? SidMatch::kEnabled : SidMatch::kNone;
  }

  std::shared_ptr<const TokenIdentity> identity_;
  std::vector<std::uint32_t> attributes_;  // of each of the identity's SIDs
  TokenPrivileges privileges_;
  std::vector<std::byte> default_dacl_;  // empty: none
  std::size_t owner_ = 0;
  std::size_t primary_group_ = 0;
  Luid token_id_;
  Luid modified_id_;
  TokenType type_ = TokenType::kPrimary;
  ImpersonationLevel level_ = ImpersonationLevel::kImpersonation;
  bool write_restricted_ = false;
  bool sandbox_inert_ = false;
  std::uint32_t integrity_ = kMediumIntegrity;
  std::uint32_t session_id_ = 0;
};

using TokenStateRef = std::shared_ptr<const TokenState>;

struct PrivilegeChange {
  Privilege privilege;
  std::uint32_t attributes;
};
struct GroupChange {
  std::size_t index;  // in TokenState::sids
  std::uint32_t attributes;
};

// Looks at what is about to change, with the attributes as they were. False: nothing is changed.
// Called once more when the token has changed meanwhile.
using AcceptPrivileges = std::function<bool(std::span<const PrivilegeChange>)>;
using AcceptGroups = std::function<bool(std::span<const GroupChange>)>;

struct Restriction {
  std::span<const SidView> disable = {};  // become deny-only; strangers are ignored
  PrivilegeSet remove = {};
  bool keep_change_notify_only = false;  // DISABLE_MAX_PRIVILEGE; `remove` is ignored then
  std::span<const SidView> restricting =
      {};  // with those that the token has already: the common ones
  bool write_restricted = false;
  bool sandbox_inert = false;
  // LUA_TOKEN: also takes what a standard user has not (standard_user.h), and an integrity above
  // medium.
  bool standard_user = false;
};

class Token final : public Identity {
 public:
  using Ref = std::shared_ptr<Token>;

  explicit Token(TokenStateRef state) : state_(std::move(state)) {}

  // kInvalidParameter: more than kTokenSidsMax SIDs; kInvalidOwner, kInvalidPrimaryGroup: they are
  // not in the token, or may not be; kNoMemory.
  static Fault Create(const TokenContents& contents, Ref* token);

  TokenStateRef state() const;

  // Null for the process's own tokens, whose user is S-1-22-1-N. Otherwise the account's; nobody's
  // where the account has none, and for tokens of a level below kImpersonation.
  const UnixIdentity* unix_identity() const noexcept override;

  // A copy with another id. kBadImpersonationLevel: an impersonation token cannot become one of a
  // higher level, nor below kImpersonation a primary one; kNoMemory.
  Fault Duplicate(TokenType type, ImpersonationLevel level, Luid token_id, Ref* copy) const;

  // A primary copy in another session: the same identity, with other credentials on the network.
  // kBadImpersonationLevel: this one is of a level below kImpersonation; kNoMemory.
  Fault MoveToSession(const SessionReference& session, Luid token_id, Ref* copy) const;

  // A copy that can do less. Where the owner becomes deny-only, the user is the owner.
  // kInvalidParameter: too many SIDs; kNoMemory.
  Fault Restrict(const Restriction& restriction, Luid token_id, Ref* copy) const;

  // The following change this token, for everybody who has it. kNoMemory: nothing is changed.

  // kNotAllAssigned: done, but the token lacks some; kInsufficientBuffer: `accept` refused. A
  // privilege with kPrivilegeRemoved is gone for good, and not among the changes.
  Fault AdjustPrivileges(std::span<const PrivilegeChange> changes, Luid modified_id,
                         const AcceptPrivileges& accept);
  Fault DisableAllPrivileges(Luid modified_id, const AcceptPrivileges& accept);

  struct GroupWish {
    SidView sid;
    bool enabled;
  };
  // kCantDisableMandatory: nothing is changed; kNotAllAssigned: done, but for groups that the token
  // lacks or that are deny-only; kInsufficientBuffer: `accept` refused.
  Fault AdjustGroups(std::span<const GroupWish> wishes, Luid modified_id,
                     const AcceptGroups& accept);
  // As they were by default.
  Fault ResetGroups(Luid modified_id, const AcceptGroups& accept);

  // kInvalidOwner: neither the user nor a group with kGroupOwner, or deny-only.
  Fault SetOwner(SidView owner, Luid modified_id);
  // kInvalidPrimaryGroup: not in the token.
  Fault SetPrimaryGroup(SidView group, Luid modified_id);
  Fault SetDefaultDacl(std::optional<AclView> dacl, Luid modified_id);
  Fault SetSessionId(std::uint32_t session_id, Luid modified_id);

 private:
  // Replaces the state by a copy that `change` has changed, unless it returns a fault other than
  // kNotAllAssigned. The lock is not held meanwhile: it never waits for memory.
  template <typename Change>
  Fault Modify(Luid modified_id, const Change& change);

  // One of a few that all tokens share, so that a fork can take them.
  Mutex& mutex() const;

  TokenStateRef state_ KTLSIM_GUARDED_BY(mutex());
};

// Whether `state` has all of `required`, or any of them, enabled; those that were found are in
// *used. kBadImpersonationLevel: an anonymous token is not asked.
Fault CheckPrivileges(const TokenState& state, PrivilegeSet required, bool all, bool* held,
                      PrivilegeSet* used);

// At which level a process with `caller` as its primary token may act by `client`: at the level of
// the client's token, or, where it may not impersonate this client, at kIdentification.
ImpersonationLevel PermittedLevel(const TokenState& client, const TokenState& caller);

}  // namespace ktlsim::security
