// LocalTrail: the audit trail of this process, which the audit functions write to.
//
// What a newcomer gets wrong: a forked child has its parent's trail and no writer. There, every
// access that needs a record is refused, until the child opens a trail of its own or closes this.
#pragma once

#include <cstdint>
#include <memory>

#include "kernel_sim/audit/audit_options.h"
#include "kernel_sim/audit/audit_trail.h"
#include "kernel_sim/base/mutex.h"
#include "kernel_sim/base/never_destroyed.h"
#include "kernel_sim/base/rundown.h"
#include "kernel_sim/base/status.h"

namespace ktlsim::authority {

class LocalTrail {
  struct Opened;

 public:
  static LocalTrail& Instance();

  // kContract: one is open already; otherwise as AuditTrail::Open. It is closed by Close, or when
  // the process exits. Passive level.
  Status Open(const audit::AuditOptions& options) KTLSIM_EXCLUDES(change_, lock_);
  // As AuditTrail::Close, once nobody writes; ok where none is open. Passive level.
  Status Close() KTLSIM_EXCLUDES(change_, lock_);

  // The trail, for as long as this lives; null: none is open. Any thread, any level.
  class Use {
   public:
    explicit Use(LocalTrail& trail);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

    audit::AuditTrail* get() const;
    explicit operator bool() const { return opened_ != nullptr; }

   private:
    std::shared_ptr<Opened> opened_;
  };

 private:
  friend class NeverDestroyed<LocalTrail>;

  struct Opened {
    std::unique_ptr<audit::AuditTrail> trail;
    Rundown users;
    std::uint64_t forks = 0;
    std::shared_ptr<Opened> inherited;
  };

  LocalTrail();
  static void BeforeFork();
  static void AfterForkInParent();
  static void AfterForkInChild();

  // Null: there is none, or it was another process's, which is put aside for good.
  std::shared_ptr<Opened> TakeOwn() KTLSIM_EXCLUDES(lock_);
  bool HasOwn() KTLSIM_EXCLUDES(lock_);

  Mutex change_;  // one change after the other
  SpinLock lock_;
  std::shared_ptr<Opened> opened_ KTLSIM_GUARDED_BY(lock_);
  std::shared_ptr<Opened> inherited_ KTLSIM_GUARDED_BY(lock_);
  std::uint64_t forks_ KTLSIM_GUARDED_BY(lock_) = 0;  // that led to this process
  bool closes_at_exit_ KTLSIM_GUARDED_BY(change_) = false;
};

}  // namespace ktlsim::authority
