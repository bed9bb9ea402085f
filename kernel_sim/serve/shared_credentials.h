// SharedCredentials: credentials that are acquired when they are first asked for, each once however
// many connections wait for it, and kept for the next ones.
//
// What a newcomer gets wrong: the names come from clients. There is a bound for everything that a
// name leads to: credentials kept, names known to have none, and loads under way.
//
// It knows names and times; a CertificateLoader knows files and SSPI. An entry's states, as data:
// kSharedTable; README.md shows them. Private to serve/.
#pragma once

#include <sspi.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kernel_sim/base/clock.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/state_table.h"
#include "kernel_sim/serve/file_tree.h"
#include "kernel_sim/transport/credential_source.h"

namespace ktlsim::serve {

struct SharedCredentialsOptions {
  std::size_t kept_max = 1024;                 // credentials; 0: no bound
  std::uint64_t kept_ns = 600 * kNsPerSecond;  // after their last use; 0: for good
  std::size_t refused_max = 4096;              // names without files, and files that failed
  std::uint64_t retry_ns = kNsPerSecond;       // how long these stay refused
  std::size_t loads_max = 1024;                // under way at once
  bool strict = false;  // a name without files of its own is refused; else it gets the default
};

// The two files that a credential was made of.
struct CertificateStamp {
  FileFacts certificate;
  FileFacts key;
  bool operator==(const CertificateStamp&) const = default;
};

// What a load has come to.
struct CertificateLoad {
  enum class Kind : std::uint8_t {
    kLoaded,
    kUnchanged,  // the files are those of the stamp
    kMissing,    // there is no such certificate
    kFailed,     // there is, and it cannot be used
  };
  Kind kind = Kind::kFailed;
  transport::CredentialRef credential;            // kLoaded
  CertificateStamp stamp;                         // kLoaded
  SECURITY_STATUS status = SEC_E_INTERNAL_ERROR;  // kFailed
};

class CertificateLoader {
 public:
  enum class Look : std::uint8_t { kSame, kChanged, kCannotTell };

  // Whether the files are still those of `stamp`. Any level: never blocks, so it may not be able to
  // tell.
  virtual Look LookAt(const std::string& stem, const CertificateStamp& stamp) = 0;
  // Loads, and calls SharedCredentials::OnLoaded once, on any thread, perhaps from inside. Any
  // level: never blocks. `before`: whose TLS sessions the new credential takes over; may be null.
  // `stamp`: of the one that is kept; none: all zero.
  virtual void Load(const std::string& stem, const CertificateStamp& stamp,
                    transport::CredentialRef before) = 0;

 protected:
  ~CertificateLoader() = default;
};

enum class SharedState : std::uint8_t {
  kLoading,   // there is nothing yet
  kReady,     // there is a credential
  kChecking,  // there is one, and its files are looked at, or loaded again
  kMissing,
  kFailed,
};

enum class SharedEvent : std::uint8_t {
  kGet,    // a new credential, or the files are unchanged
  kMiss,   // there are no such files
  kFail,   // there are, and they cannot be used
  kCheck,  // asked for, and the files may have changed
  kRetry,  // asked for, and the refusal is old enough
};

inline constexpr StateTable kSharedTable(std::array{
    Transition{SharedState::kLoading, SharedEvent::kGet, SharedState::kReady},
    Transition{SharedState::kLoading, SharedEvent::kMiss, SharedState::kMissing},
    Transition{SharedState::kLoading, SharedEvent::kFail, SharedState::kFailed},
    Transition{SharedState::kReady, SharedEvent::kCheck, SharedState::kChecking},
    Transition{SharedState::kChecking, SharedEvent::kGet, SharedState::kReady},
    Transition{SharedState::kChecking, SharedEvent::kMiss, SharedState::kMissing},
    Transition{SharedState::kChecking, SharedEvent::kFail, SharedState::kReady},
    Transition{SharedState::kMissing, SharedEvent::kRetry, SharedState::kLoading},
    Transition{SharedState::kFailed, SharedEvent::kRetry, SharedState::kLoading},
});

const char* NameOf(SharedState state);
const char* NameOf(SharedEvent event);

class SharedCredentials {
 public:
  using When = transport::CredentialSource::When;
  using Kept = std::unordered_map<std::string, transport::CredentialRef>;

  // What it has done.
  struct Events {
    std::uint64_t loads = 0;
    std::uint64_t evicted = 0;      // credentials, for the bound
    std::uint64_t aged = 0;         // the same, for their age
    std::uint64_t turned_away = 0;  // because too many loads were under way

    Events& operator+=(const Events& other) {
      loads += other.loads;
      evicted += other.evicted;
      aged += other.aged;
      turned_away += other.turned_away;
      return *this;
    }
  };
  // What it holds, and what it has done.
  struct Counts {
    std::size_t kept = 0;
    std::size_t refused = 0;
    std::size_t loading = 0;
    Events events;
  };

  // Both must outlive it.
  SharedCredentials(const SharedCredentialsOptions& options, CertificateLoader& loader,
                    const Clock& clock)
      : options_(options), loader_(loader), clock_(clock) {}
  // Nothing loads, and nobody waits.
  ~SharedCredentials();
  SharedCredentials(const SharedCredentials&) = delete;
  SharedCredentials& operator=(const SharedCredentials&) = delete;

  // As transport::CredentialSource.
  When Take(std::string_view name, transport::CredentialWaiter& waiter);
  bool Withdraw(transport::CredentialWaiter& waiter);
  std::uint64_t FreeUnused();

  // The same as Take for one stem, whatever clients may ask for; no other one is tried.
  When TakeStem(const std::string& stem, transport::CredentialWaiter& waiter);

  // The loader's outcome. Any thread.
  void OnLoaded(const std::string& stem, CertificateLoad load);

  // Credentials of a predecessor, whose TLS sessions new ones take over. Before the first Take.
  void Inherit(Kept kept);
  // The credentials that are kept now, by stem. Throws bad_alloc.
  Kept KeptNow();
  Counts counts();

 private:
  struct Entry;
  using Places = std::list<Entry*>;
  struct Entry {
    std::string stem;
    SharedState state = SharedState::kLoading;
    transport::CredentialRef credential;  // kReady, kChecking
    CertificateStamp stamp;               // the same
    SECURITY_STATUS status = SEC_E_OK;    // kFailed
    // kReady: the last use. kMissing, kFailed: the refusal.
    std::uint64_t since_ns = 0;
    std::uint64_t look_again_ns = 0;  // kReady: not before; its changed files cannot be used
    transport::CredentialWaiter* first = nullptr;  // those who wait
    transport::CredentialWaiter* last = nullptr;
    Places::iterator place;  // in the list of its state
  };
  // What follows from a step of Advance.
  struct Next {
    enum class Kind : std::uint8_t {
      kDone,  // the waiter's outcome is set
      kWait,  // it waits
      kLoad,  // the same, and the load is to be begun
      kLook,  // there is a credential, if its files are unchanged
      kMissing,
    };
    Kind kind = Kind::kDone;
    transport::CredentialRef credential;  // kLook: that one. kLoad: for its sessions
    CertificateStamp stamp;               // kLook, kLoad: of the one there is
  };

  // Tries one stem after the other. While nobody else knows the waiter. Throws bad_alloc.
  When Advance(transport::CredentialWaiter& waiter);
  // The same, and throws nothing.
  When GoOn(transport::CredentialWaiter& waiter);
  Next Step(const std::string& stem, transport::CredentialWaiter& waiter) KTLSIM_REQUIRES(lock_);
  // kLook has found that the files may have changed since.
  Next Recheck(const std::string& stem, const CertificateStamp& looked,
               transport::CredentialWaiter& waiter) KTLSIM_REQUIRES(lock_);
  Next BeginLoad(Entry& entry, transport::CredentialWaiter& waiter) KTLSIM_REQUIRES(lock_);
  Next Wait(Entry& entry, transport::CredentialWaiter& waiter) KTLSIM_REQUIRES(lock_);
  Entry* Find(const std::string& stem) KTLSIM_REQUIRES(lock_);
  Entry& Add(const std::string& stem) KTLSIM_REQUIRES(lock_);
  Places& PlacesOf(SharedState state) KTLSIM_REQUIRES(lock_);
  void Move(Entry& entry, SharedEvent event) KTLSIM_REQUIRES(lock_);
  void Use(Entry& entry) KTLSIM_REQUIRES(lock_);
  // Returns what the entry has no use for any more: dropping it is for later, without the lock.
  transport::CredentialRef Settle(Entry& entry, CertificateLoad& load) KTLSIM_REQUIRES(lock_);
  // The same, of an entry that the bounds leave no place for.
  transport::CredentialRef Evict() KTLSIM_REQUIRES(lock_);
  transport::CredentialRef Forget(Entry& entry) KTLSIM_REQUIRES(lock_);
  // All who wait, on their way out.
  static transport::CredentialWaiter* Detach(Entry& entry);
  void Tell(transport::CredentialWaiter* first, CertificateLoad::Kind kind,
            const transport::CredentialOutcome& outcome);
  // Null: nothing is old enough now; `*next_ns` is when.
  Entry* Oldest(std::uint64_t* next_ns) KTLSIM_REQUIRES(lock_);

  const SharedCredentialsOptions options_;
  CertificateLoader& loader_;
  const Clock& clock_;

  SpinLock lock_;
  std::unordered_map<std::string, Entry> entries_ KTLSIM_GUARDED_BY(lock_);
  Places loading_ KTLSIM_GUARDED_BY(lock_);
  Places kept_ KTLSIM_GUARDED_BY(lock_);     // the least recently used first
  Places refused_ KTLSIM_GUARDED_BY(lock_);  // the oldest first
  Kept inherited_ KTLSIM_GUARDED_BY(lock_);
  std::uint64_t inherited_ns_ KTLSIM_GUARDED_BY(lock_) = 0;
  Events events_ KTLSIM_GUARDED_BY(lock_);
};

}  // namespace ktlsim::serve
