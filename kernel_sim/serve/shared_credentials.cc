#include "kernel_sim/serve/shared_credentials.h"

#include <ktlsim/sspi_ext.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <new>

#include "kernel_sim/base/assert.h"
#include "kernel_sim/serve/certificate_names.h"

namespace ktlsim::serve {

using transport::CredentialOutcome;
using transport::CredentialRef;
using transport::CredentialSource;
using transport::CredentialWaiter;

namespace {

// The step of a waiter for one stem.
constexpr unsigned kOneStem = std::numeric_limits<unsigned>::max();

std::string StemOf(const CredentialWaiter& waiter, bool strict) {
  return waiter.step == kOneStem ? waiter.name
                                 : StemFor(waiter.name, waiter.step, waiter.named, strict);
}

CredentialSource::When NoMemory(CredentialWaiter& waiter) {
  waiter.outcome = {.credential = nullptr, .status = SEC_E_INSUFFICIENT_MEMORY};
  return CredentialSource::When::kNow;
}

SECURITY_STATUS NoneFor(const CredentialWaiter& waiter) {
  return waiter.named ? SEC_E_TARGET_UNKNOWN : SEC_E_NO_CREDENTIALS;
}

}  // namespace

const char* NameOf(SharedState state) {
  switch (state) {
    case SharedState::kLoading:
      return "loading";
    case SharedState::kReady:
      return "ready";
    case SharedState::kChecking:
      return "checking";
    case SharedState::kMissing:
      return "missing";
    case SharedState::kFailed:
      return "failed";
  }
  return "?";
}

const char* NameOf(SharedEvent event) {
  switch (event) {
    case SharedEvent::kGet:
      return "get";
    case SharedEvent::kMiss:
      return "miss";
    case SharedEvent::kFail:
      return "fail";
    case SharedEvent::kCheck:
      return "check";
    case SharedEvent::kRetry:
      return "retry";
  }
  return "?";
}

SharedCredentials::~SharedCredentials() {
  SpinLockHolder lock(lock_);
  KTLSIM_ASSERT(loading_.empty());
}

// ---- Asking

SharedCredentials::When SharedCredentials::Take(std::string_view name, CredentialWaiter& waiter) {
  waiter.named = !name.empty();
  waiter.step = 0;
  try {
    waiter.name = HostNameOf(name);
    return Advance(waiter);
  } catch (const std::bad_alloc&) {
    return NoMemory(waiter);
  }
}

SharedCredentials::When SharedCredentials::TakeStem(const std::string& stem,
                                                    CredentialWaiter& waiter) {
  waiter.named = true;
  waiter.step = kOneStem;
  try {
    waiter.name = stem;
    return Advance(waiter);
  } catch (const std::bad_alloc&) {
    return NoMemory(waiter);
  }
}

// What throws has changed nothing yet, and nobody else knows the waiter then.
SharedCredentials::When SharedCredentials::Advance(CredentialWaiter& waiter) {
  for (;;) {
    const std::string stem = StemOf(waiter, options_.strict);
    Next next{.kind = Next::Kind::kMissing, .credential = nullptr, .stamp = {}};
    if (stem.empty()) {
      waiter.outcome = {.credential = nullptr, .status = NoneFor(waiter)};
      return When::kNow;
    }
    {
      SpinLockHolder lock(lock_);
      next = Step(stem, waiter);
    }
    // Looking at files is for no lock.
    if (next.kind == Next::Kind::kLook &&
        loader_.LookAt(stem, next.stamp) != CertificateLoader::Look::kSame) {
      SpinLockHolder lock(lock_);
      next = Recheck(stem, next.stamp, waiter);
    }
    switch (next.kind) {
      case Next::Kind::kLook:
        waiter.outcome = {.credential = std::move(next.credential), .status = SEC_E_OK};
        return When::kNow;
      case Next::Kind::kDone:
        return When::kNow;
      case Next::Kind::kLoad:
        loader_.Load(stem, next.stamp, std::move(next.credential));
        return When::kLater;
      case Next::Kind::kWait:
        return When::kLater;
      case Next::Kind::kMissing:
        if (waiter.step == kOneStem) {
          waiter.outcome = {.credential = nullptr, .status = NoneFor(waiter)};
          return When::kNow;
        }
        ++waiter.step;
        break;
    }
  }
}

SharedCredentials::Next SharedCredentials::Step(const std::string& stem, CredentialWaiter& waiter) {
  const auto done = [&waiter](SECURITY_STATUS status) {
    waiter.outcome = {.credential = nullptr, .status = status};
    return Next{};
  };
  if (waiter.withdrawn) return done(KTLSIM_E_CANCELLED);
  Entry* entry = Find(stem);
  const std::uint64_t now_ns = clock_.NowNs();
  const bool refused = entry != nullptr && (entry->state == SharedState::kMissing ||
                                            entry->state == SharedState::kFailed);
  if (refused && now_ns - entry->since_ns < options_.retry_ns) {
    if (entry->state == SharedState::kFailed) return done(entry->status);
    return {.kind = Next::Kind::kMissing, .credential = nullptr, .stamp = {}};
  }
  if (entry == nullptr || refused) {
    if (loading_.size() >= options_.loads_max) {
      ++events_.turned_away;
      return done(SEC_E_INSUFFICIENT_MEMORY);
    }
    if (refused) {
      Move(*entry, SharedEvent::kRetry);
    } else {
      entry = &Add(stem);
    }
    return BeginLoad(*entry, waiter);
  }
  if (entry->state != SharedState::kReady) return Wait(*entry, waiter);
  Use(*entry);
  if (now_ns < entry->look_again_ns) {
    waiter.outcome = {.credential = entry->credential, .status = SEC_E_OK};
    return {};
  }
  return {.kind = Next::Kind::kLook, .credential = entry->credential, .stamp = entry->stamp};
}

SharedCredentials::Next SharedCredentials::Recheck(const std::string& stem,
                                                   const CertificateStamp& looked,
                                                   CredentialWaiter& waiter) {
  Entry* const entry = Find(stem);
  // Somebody else was faster, or it was evicted.
  if (entry == nullptr || entry->state != SharedState::kReady || entry->stamp != looked) {
    return Step(stem, waiter);
  }
  Move(*entry, SharedEvent::kCheck);
  return BeginLoad(*entry, waiter);
}

SharedCredentials::Next SharedCredentials::BeginLoad(Entry& entry, CredentialWaiter& waiter) {
  Next next = Wait(entry, waiter);
  next.kind = Next::Kind::kLoad;
  next.credential = entry.credential;
  next.stamp = entry.stamp;
  if (next.credential == nullptr) {
    const auto found = inherited_.find(entry.stem);
    if (found != inherited_.end()) next.credential = found->second;
  }
  ++events_.loads;
  return next;
}

SharedCredentials::Next SharedCredentials::Wait(Entry& entry, CredentialWaiter& waiter) {
  waiter.queue = &entry;
  waiter.next = nullptr;
  waiter.previous = entry.last;
  (entry.last != nullptr ? entry.last->next : entry.first) = &waiter;
  entry.last = &waiter;
  return {.kind = Next::Kind::kWait, .credential = nullptr, .stamp = {}};
}

bool SharedCredentials::Withdraw(CredentialWaiter& waiter) {
  SpinLockHolder lock(lock_);
  waiter.withdrawn = true;
  if (waiter.queue == nullptr) return false;
  Entry& entry = *static_cast<Entry*>(waiter.queue);
  (waiter.previous != nullptr ? waiter.previous->next : entry.first) = waiter.next;
  (waiter.next != nullptr ? waiter.next->previous : entry.last) = waiter.previous;
  waiter.queue = nullptr;
  return true;
}

// ---- Entries

SharedCredentials::Entry* SharedCredentials::Find(const std::string& stem) {
  const auto found = entries_.find(stem);
  return found != entries_.end() ? &found->second : nullptr;
}

// All or nothing.
SharedCredentials::Entry& SharedCredentials::Add(const std::string& stem) {
  loading_.push_back(nullptr);
  try {
    Entry& entry = entries_[stem];
    entry.stem = stem;
    entry.place = std::prev(loading_.end());
    *entry.place = &entry;
    return entry;
  } catch (const std::bad_alloc&) {
    loading_.pop_back();
    entries_.erase(stem);
    throw;
  }
}

SharedCredentials::Places& SharedCredentials::PlacesOf(SharedState state) {
  switch (state) {
    case SharedState::kReady:
      return kept_;
    case SharedState::kMissing:
    case SharedState::kFailed:
      return refused_;
    case SharedState::kLoading:
    case SharedState::kChecking:
      break;
  }
  return loading_;
}

void SharedCredentials::Move(Entry& entry, SharedEvent event) {
  Places& from = PlacesOf(entry.state);
  entry.state = kSharedTable.After(entry.state, event);
  Places& to = PlacesOf(entry.state);
  to.splice(to.end(), from, entry.place);
  entry.since_ns = clock_.NowNs();
}

void SharedCredentials::Use(Entry& entry) {
  kept_.splice(kept_.end(), kept_, entry.place);
  entry.since_ns = clock_.NowNs();
}

CredentialRef SharedCredentials::Forget(Entry& entry) {
  CredentialRef credential = std::move(entry.credential);
  PlacesOf(entry.state).erase(entry.place);
  entries_.erase(std::string(entry.stem));
  return credential;
}

// ---- What loads have come to

void SharedCredentials::OnLoaded(const std::string& stem, CertificateLoad load) {
  CredentialRef dropped;
  CredentialRef evicted;
  CredentialWaiter* told = nullptr;
  CredentialOutcome outcome;
  {
    SpinLockHolder lock(lock_);
    Entry& entry = *Find(stem);
    dropped = Settle(entry, load);
    outcome = {.credential = entry.credential, .status = entry.status};
    told = Detach(entry);
    evicted = Evict();
  }
  Tell(told, load.kind, outcome);
}

CredentialRef SharedCredentials::Settle(Entry& entry, CertificateLoad& load) {
  CredentialRef dropped;
  entry.status = SEC_E_OK;
  switch (load.kind) {
    case CertificateLoad::Kind::kLoaded:
      dropped = std::exchange(entry.credential, std::move(load.credential));
      entry.stamp = load.stamp;
      entry.look_again_ns = 0;
      Move(entry, SharedEvent::kGet);
      break;
    case CertificateLoad::Kind::kUnchanged:
      Move(entry, SharedEvent::kGet);
      break;
    case CertificateLoad::Kind::kMissing:
      dropped = std::exchange(entry.credential, nullptr);
      entry.stamp = {};
      Move(entry, SharedEvent::kMiss);
      break;
    case CertificateLoad::Kind::kFailed:
      // A credential that there is goes on.
      if (entry.credential == nullptr) entry.status = load.status;
      entry.look_again_ns = clock_.NowNs() + options_.retry_ns;
      Move(entry, SharedEvent::kFail);
      break;
  }
  return dropped;
}

CredentialRef SharedCredentials::Evict() {
  if (options_.kept_max != 0 && kept_.size() > options_.kept_max) {
    ++events_.evicted;
    return Forget(*kept_.front());
  }
  return refused_.size() > options_.refused_max ? Forget(*refused_.front()) : nullptr;
}

CredentialWaiter* SharedCredentials::Detach(Entry& entry) {
  entry.last = nullptr;
  for (CredentialWaiter* waiter = entry.first; waiter != nullptr; waiter = waiter->next) {
    waiter->queue = nullptr;
  }
  return std::exchange(entry.first, nullptr);
}

void SharedCredentials::Tell(CredentialWaiter* first, CertificateLoad::Kind kind,
                             const CredentialOutcome& outcome) {
  for (CredentialWaiter* waiter = first; waiter != nullptr;) {
    // It may be gone, or wait elsewhere, at any moment from here on.
    CredentialWaiter& told = *std::exchange(waiter, waiter->next);
    told.outcome = outcome;
    const bool missing = kind == CertificateLoad::Kind::kMissing;
    if (missing && told.step == kOneStem) told.outcome.status = NoneFor(told);
    if (missing && told.step != kOneStem) {
      ++told.step;
      if (GoOn(told) == When::kLater) continue;
    }
    told.OnCredential();
  }
}

SharedCredentials::When SharedCredentials::GoOn(CredentialWaiter& waiter) {
  try {
    return Advance(waiter);
  } catch (const std::bad_alloc&) {
    return NoMemory(waiter);
  }
}

// ---- Age

std::uint64_t SharedCredentials::FreeUnused() {
  for (;;) {
    // Dropped when the lock, which comes after them, has been given back.
    CredentialRef dropped;
    Kept inherited;
    std::uint64_t next_ns = 0;
    SpinLockHolder lock(lock_);
    if (!inherited_.empty() && clock_.NowNs() - inherited_ns_ >= options_.kept_ns) {
      inherited.swap(inherited_);
    }
    Entry* const oldest = Oldest(&next_ns);
    if (oldest == nullptr) return next_ns;
    if (oldest->state == SharedState::kReady) ++events_.aged;
    dropped = Forget(*oldest);
  }
}

SharedCredentials::Entry* SharedCredentials::Oldest(std::uint64_t* next_ns) {
  const std::uint64_t now_ns = clock_.NowNs();
  *next_ns = 0;
  const auto look = [&](const Places& places, std::uint64_t limit_ns) -> Entry* {
    if (places.empty() || limit_ns == 0) return nullptr;
    Entry* const first = places.front();
    const std::uint64_t age_ns = now_ns - first->since_ns;
    if (age_ns >= limit_ns) return first;
    const std::uint64_t left_ns = limit_ns - age_ns;
    *next_ns = *next_ns == 0 ? left_ns : std::min(*next_ns, left_ns);
    return nullptr;
  };
  if (Entry* const kept = look(kept_, options_.kept_ns)) return kept;
  return look(refused_, options_.retry_ns);
}

void SharedCredentials::Inherit(Kept kept) {
  SpinLockHolder lock(lock_);
  inherited_.swap(kept);
  inherited_ns_ = clock_.NowNs();
}

SharedCredentials::Kept SharedCredentials::KeptNow() {
  Kept kept;
  SpinLockHolder lock(lock_);
  for (const auto& [stem, entry] : entries_) {
    if (entry.credential != nullptr) kept.emplace(stem, entry.credential);
  }
  return kept;
}

SharedCredentials::Counts SharedCredentials::counts() {
  SpinLockHolder lock(lock_);
  Counts counts;
  counts.events = events_;
  counts.kept = kept_.size();
  counts.refused = refused_.size();
  counts.loading = loading_.size();
  return counts;
}

}  // namespace ktlsim::serve
