#include "kernel_sim/security/token.h"

#include <pthread.h>

#include <algorithm>
#include <new>
#include <utility>

#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/security/standard_user.h"

namespace ktlsim::security {
namespace {

// A line of the cache for each: threads with different tokens do not meet.
struct alignas(64) TokenLock {
  Mutex mutex;
};

// The locks of all tokens. No thread may be holding one while the process forks, since a child
// could not use the token; none is held while another lock is taken.
struct TokenLocks {
  TokenLocks() { pthread_atfork(&Lock, &Unlock, &Unlock); }
  static void Lock();
  static void Unlock();

  std::array<TokenLock, 16> all;
};

TokenLocks& Locks() {
  static NeverDestroyed<TokenLocks> locks;
  return locks.get();
}

KTLSIM_NO_THREAD_SAFETY void TokenLocks::Lock() {
  for (TokenLock& one : Locks().all) one.mutex.lock();
}
KTLSIM_NO_THREAD_SAFETY void TokenLocks::Unlock() {
  for (TokenLock& one : Locks().all) one.mutex.unlock();
}

// Handlers that are there from the start on run last before a fork: those of whoever asks for
// tokens while it holds locks of its own come later.
[[maybe_unused]] const TokenLocks& locks_from_the_start = Locks();  // NOLINT(cert-err58-cpp)

// Adds the SIDs and their attributes. kInvalidParameter: too many.
Fault AddGroups(std::span<const TokenGroup> groups, SidTable* sids,
                std::vector<std::uint32_t>* attributes) {
  if (groups.size() >= kTokenSidsMax) return Fault::kInvalidParameter;
  for (const TokenGroup& group : groups) {
    if (sids->Add(group.sid)) attributes->push_back(group.attributes);
  }
  return Fault::kNone;
}

std::vector<std::byte> CopyOf(const std::optional<AclView>& acl) {
  if (!acl) return {};
  return {acl->image().begin(), acl->image().end()};
}

// What only denies may not own either, the user included.
bool MayOwn(const TokenState& state, std::size_t index) {
  const std::uint32_t attributes = state.attributes(index);
  return (attributes & kGroupDenyOnly) == 0 && (index == 0 || (attributes & kGroupOwner) != 0);
}

// The index of an owner. None: it may not be one.
std::optional<std::size_t> OwnerIndex(const TokenState& state, SidView owner) {
  const std::optional<std::size_t> index = state.IndexOf(owner);
  return index && MayOwn(state, *index) ? index : std::nullopt;
}

std::optional<SidTable> RestrictingSids(const TokenState& state, std::span<const SidView> added) {
  const std::optional<SidTable>& before = state.identity().restricting;
  if (added.empty()) return before;
  SidTable sids;
  for (const SidView sid : added) {
    if (!before || before->Find(sid)) sids.Add(Sid(sid));
  }
  return sids;
}

void MakeDenyOnly(std::uint32_t* attributes) {
  *attributes &= ~(kGroupEnabled | kGroupEnabledByDefault);
  *attributes |= kGroupDenyOnly;
}

TokenPrivileges Reduced(TokenPrivileges privileges, const Restriction& restriction) {
  const TokenPrivileges before = privileges;
  before.held.ForEach([&](Privilege one) {
    const bool named = restriction.keep_change_notify_only ? one != Privilege::kChangeNotify
                                                           : restriction.remove.Has(one);
    if (named || (restriction.standard_user && !kStandardUserPrivileges.Has(one))) {
      privileges.Remove(one);
    }
  });
  return privileges;
}

// False: the token does not have it.
bool Change(const PrivilegeChange& change, TokenPrivileges* privileges) {
  if (!privileges->held.Has(change.privilege)) return false;
  if ((change.attributes & kPrivilegeRemoved) != 0) {
    privileges->Remove(change.privilege);
  } else if ((change.attributes & kPrivilegeEnabled) != 0) {
    privileges->enabled.Add(change.privilege);
  } else {
    privileges->enabled.Remove(change.privilege);
  }
  return true;
}

// What is different now, except for privileges that are gone.
std::vector<PrivilegeChange> ChangesOf(const TokenPrivileges& before,
                                       const TokenPrivileges& after) {
  std::vector<PrivilegeChange> changes;
  after.held.ForEach([&](Privilege one) {
    if (before.enabled.Has(one) != after.enabled.Has(one)) {
      changes.push_back({one, before.AttributesOf(one)});
    }
  });
  return changes;
}

std::vector<GroupChange> ChangesOf(const TokenState& before, const TokenState& after) {
  std::vector<GroupChange> changes;
  for (std::size_t i = 0; i < before.sids().size(); ++i) {
    if (before.attributes(i) != after.attributes(i)) changes.push_back({i, before.attributes(i)});
  }
  return changes;
}

// Whether a wish can be fulfilled. kNotAllAssigned: the token lacks the group, or it is deny-only.
Fault JudgeWish(const TokenState& state, std::optional<std::size_t> index, bool enabled) {
  if (!index || *index == 0) return Fault::kNotAllAssigned;
  const std::uint32_t attributes = state.attributes(*index);
  if (!enabled && (attributes & kGroupMandatory) != 0) return Fault::kCantDisableMandatory;
  const bool impossible = enabled && (attributes & kGroupDenyOnly) != 0;
  return impossible ? Fault::kNotAllAssigned : Fault::kNone;
}

std::uint32_t WithEnabled(std::uint32_t attributes, bool enabled) {
  return enabled ? attributes | kGroupEnabled : attributes & ~kGroupEnabled;
}

bool SameIdentity(const TokenState& client, const TokenState& caller) {
  return client.user() == caller.user() && (!caller.restricted() || client.restricted());
}

}  // namespace

std::optional<AclView> TokenState::default_dacl() const {
  if (default_dacl_.empty()) return std::nullopt;
  return AclView::Read(default_dacl_);
}

bool TokenState::IsMember(SidView sid) const {
  const std::uint64_t hash = sid.hash();
  return Match(sid, hash) == SidMatch::kEnabled &&
         (!restricted() || MatchRestricting(sid, hash) == SidMatch::kEnabled);
}

Fault Token::Create(const TokenContents& contents, Ref* token) try {
  const auto identity = std::make_shared<TokenIdentity>();
  const auto state = std::make_shared<TokenState>();
  identity->sids.Add(contents.user);
  state->attributes_.push_back(0);
  const Fault fault = AddGroups(contents.groups, &identity->sids, &state->attributes_);
  if (fault != Fault::kNone) return fault;
  identity->authentication_id = contents.authentication_id;
  identity->origin = contents.origin;
  identity->logon_session = contents.logon_session;
  identity->source = contents.source;
  identity->expiration = contents.expiration;
  state->identity_ = identity;
  state->privileges_ = contents.privileges;
  state->default_dacl_ = CopyOf(contents.default_dacl);
  state->token_id_ = contents.token_id;
  state->modified_id_ = contents.token_id;
  state->type_ = contents.type;
  state->level_ = contents.level;
  state->integrity_ = contents.integrity;
  state->session_id_ = contents.session_id;
  const auto owner = OwnerIndex(*state, contents.owner.value_or(contents.user));
  if (!owner) return Fault::kInvalidOwner;
  const auto group = state->IndexOf(contents.primary_group.value_or(contents.user));
  if (!group) return Fault::kInvalidPrimaryGroup;
  state->owner_ = *owner;
  state->primary_group_ = *group;
  *token = std::make_shared<Token>(state);
  return Fault::kNone;
} catch (const std::bad_alloc&) {
  return Fault::kNoMemory;
}

Mutex& Token::mutex() const {
  return Locks().all[(reinterpret_cast<std::uintptr_t>(this) >> 4) % 16].mutex;
}

TokenStateRef Token::state() const {
  const ScopedLock lock(mutex());
  return state_;
}

const UnixIdentity* Token::unix_identity() const noexcept {
  constexpr std::uint64_t kUnixAuthority = 22;
  const TokenStateRef now = state();
  if (now->user().authority() == kUnixAuthority) return nullptr;
  const bool acts =
      now->type() == TokenType::kPrimary || now->level() >= ImpersonationLevel::kImpersonation;
  // Of all states of a token it is the same.
  const std::shared_ptr<const TokenSession>& session = now->identity().logon_session;
  const UnixIdentity* const its = acts && session != nullptr ? session->unix_identity() : nullptr;
  return its != nullptr ? its : &UnixIdentity::Nobody();
}

Fault Token::Duplicate(TokenType type, ImpersonationLevel level, Luid token_id, Ref* copy) const
    try {
  const TokenStateRef from = state();
  if (from->type() == TokenType::kImpersonation) {
    const ImpersonationLevel needed =
        type == TokenType::kPrimary ? ImpersonationLevel::kImpersonation : level;
    if (needed > from->level()) return Fault::kBadImpersonationLevel;
  }
  const auto made = std::make_shared<TokenState>(*from);
  made->type_ = type;
  made->level_ = level;
  made->token_id_ = token_id;
  made->modified_id_ = token_id;
  *copy = std::make_shared<Token>(made);
  return Fault::kNone;
} catch (const std::bad_alloc&) {
  return Fault::kNoMemory;
}

Fault Token::MoveToSession(const SessionReference& session, Luid token_id, Ref* copy) const try {
  Ref primary;
  const Fault fault =
      Duplicate(TokenType::kPrimary, ImpersonationLevel::kImpersonation, token_id, &primary);
  if (fault != Fault::kNone) return fault;
  const TokenStateRef from = primary->state();
  const auto identity = std::make_shared<TokenIdentity>(from->identity());
  identity->authentication_id = session.authentication_id;
  identity->origin = session.origin;
  identity->logon_session = session.logon_session;
  const auto made = std::make_shared<TokenState>(*from);
  made->identity_ = identity;
  *copy = std::make_shared<Token>(made);
  return Fault::kNone;
} catch (const std::bad_alloc&) {
  return Fault::kNoMemory;
}

Fault Token::Restrict(const Restriction& restriction, Luid token_id, Ref* copy) const try {
  if (restriction.restricting.size() > kTokenSidsMax) return Fault::kInvalidParameter;
  const TokenStateRef from = state();
  const auto identity = std::make_shared<TokenIdentity>(from->identity());
  identity->restricting = RestrictingSids(*from, restriction.restricting);
  const auto made = std::make_shared<TokenState>(*from);
  made->identity_ = identity;
  for (const SidView sid : restriction.disable) {
    if (const auto index = from->IndexOf(sid)) MakeDenyOnly(&made->attributes_[*index]);
  }
  if (restriction.standard_user) {
    const std::span<const Sid> sids = from->sids();
    for (std::size_t i = 1; i < sids.size(); ++i) {  // the user is no group
      if (IsAdministrative(sids[i])) MakeDenyOnly(&made->attributes_[i]);
    }
    made->integrity_ = std::min(from->integrity(), kMediumIntegrity);
  }
  if (!MayOwn(*made, made->owner_)) made->owner_ = 0;
  made->privileges_ = Reduced(from->privileges(), restriction);
  // What restricts all access goes on doing so.
  if (!restriction.restricting.empty()) {
    made->write_restricted_ =
        restriction.write_restricted && (!from->restricted() || from->write_restricted());
  }
  made->sandbox_inert_ = from->sandbox_inert() || restriction.sandbox_inert;
  made->token_id_ = token_id;
  made->modified_id_ = token_id;
  *copy = std::make_shared<Token>(made);
  return Fault::kNone;
} catch (const std::bad_alloc&) {
  return Fault::kNoMemory;
}

template <typename Change>
Fault Token::Modify(Luid modified_id, const Change& change) try {
  for (;;) {
    const TokenStateRef before = state();
    const auto made = std::make_shared<TokenState>(*before);
    const Fault fault = change(*before, made.get());
    if (fault != Fault::kNone && fault != Fault::kNotAllAssigned) return fault;
    made->modified_id_ = modified_id;
    const ScopedLock lock(mutex());
    if (state_ != before) continue;  // somebody else was faster
    state_ = made;
    return fault;
  }
} catch (const std::bad_alloc&) {
  return Fault::kNoMemory;
}

Fault Token::AdjustPrivileges(std::span<const PrivilegeChange> changes, Luid modified_id,
                              const AcceptPrivileges& accept) {
  return Modify(modified_id, [&](const TokenState& before, TokenState* after) {
    bool all = true;
    for (const PrivilegeChange& change : changes) {
      all = Change(change, &after->privileges_) && all;
    }
    if (!accept(ChangesOf(before.privileges_, after->privileges_))) {
      return Fault::kInsufficientBuffer;
    }
    return all ? Fault::kNone : Fault::kNotAllAssigned;
  });
}

Fault Token::DisableAllPrivileges(Luid modified_id, const AcceptPrivileges& accept) {
  return Modify(modified_id, [&](const TokenState& before, TokenState* after) {
    after->privileges_.enabled = {};
    return accept(ChangesOf(before.privileges_, after->privileges_)) ? Fault::kNone
                                                                     : Fault::kInsufficientBuffer;
  });
}

Fault Token::AdjustGroups(std::span<const GroupWish> wishes, Luid modified_id,
                          const AcceptGroups& accept) {
  return Modify(modified_id, [&](const TokenState& before, TokenState* after) {
    Fault result = Fault::kNone;
    for (const GroupWish& wish : wishes) {
      const std::optional<std::size_t> index = before.IndexOf(wish.sid);
      const Fault fault = JudgeWish(before, index, wish.enabled);
      if (fault == Fault::kCantDisableMandatory) return fault;
      if (fault != Fault::kNone) {
        result = fault;
      } else if (index) {
        after->attributes_[*index] = WithEnabled(before.attributes(*index), wish.enabled);
      }
    }
    return accept(ChangesOf(before, *after)) ? result : Fault::kInsufficientBuffer;
  });
}

Fault Token::ResetGroups(Luid modified_id, const AcceptGroups& accept) {
  return Modify(modified_id, [&](const TokenState& before, TokenState* after) {
    for (std::size_t i = 1; i < after->attributes_.size(); ++i) {
      const std::uint32_t attributes = before.attributes(i);
      if ((attributes & (kGroupMandatory | kGroupDenyOnly)) != 0) continue;
      after->attributes_[i] = WithEnabled(attributes, (attributes & kGroupEnabledByDefault) != 0);
    }
    return accept(ChangesOf(before, *after)) ? Fault::kNone : Fault::kInsufficientBuffer;
  });
}

Fault Token::SetOwner(SidView owner, Luid modified_id) {
  return Modify(modified_id, [&](const TokenState& before, TokenState* after) {
    const auto index = OwnerIndex(before, owner);
    if (!index) return Fault::kInvalidOwner;
    after->owner_ = *index;
    return Fault::kNone;
  });
}

Fault Token::SetPrimaryGroup(SidView group, Luid modified_id) {
  return Modify(modified_id, [&](const TokenState& before, TokenState* after) {
    const auto index = before.IndexOf(group);
    if (!index) return Fault::kInvalidPrimaryGroup;
    after->primary_group_ = *index;
    return Fault::kNone;
  });
}

Fault Token::SetDefaultDacl(std::optional<AclView> dacl, Luid modified_id) {
  return Modify(modified_id, [&](const TokenState& /*before*/, TokenState* after) {
    after->default_dacl_ = CopyOf(dacl);
    return Fault::kNone;
  });
}

Fault Token::SetSessionId(std::uint32_t session_id, Luid modified_id) {
  return Modify(modified_id, [&](const TokenState& /*before*/, TokenState* after) {
    after->session_id_ = session_id;
    return Fault::kNone;
  });
}

Fault CheckPrivileges(const TokenState& state, PrivilegeSet required, bool all, bool* held,
                      PrivilegeSet* used) {
  if (state.type() == TokenType::kImpersonation &&
      state.level() == ImpersonationLevel::kAnonymous) {
    return Fault::kBadImpersonationLevel;
  }
  *used = required.And(state.privileges().enabled);
  *held = all ? *used == required : !used->empty();
  return Fault::kNone;
}

ImpersonationLevel PermittedLevel(const TokenState& client, const TokenState& caller) {
  const ImpersonationLevel level =
      client.type() == TokenType::kPrimary ? ImpersonationLevel::kImpersonation : client.level();
  const bool permitted = level < ImpersonationLevel::kImpersonation ||
                         caller.privileges().enabled.Has(Privilege::kImpersonate) ||
                         (client.identity().origin != Luid() &&
                          client.identity().origin == caller.identity().authentication_id) ||
                         SameIdentity(client, caller);
  return permitted ? level : ImpersonationLevel::kIdentification;
}

}  // namespace ktlsim::security
