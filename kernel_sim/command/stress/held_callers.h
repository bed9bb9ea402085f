// HeldCallers: threads that are held up in the middle of their work while the others go on, as on a
// busy machine, only far more often. Whatever a caller looked up before is then as old as possible
// when it is used.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <vector>

#include "io/seeded_random.h"
#include "kernel_sim/base/mutex.h"

namespace ktlsim::command {

class HeldCallers {
 public:
  // The calling thread is one of them for as long as this lives.
  class Member {
   public:
    explicit Member(HeldCallers& callers);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    HeldCallers& callers_;
  };

  // One of them, drawn, is held up for as long as this lives. That must be short: the others may be
  // waiting for what it was doing. One at a time in the process; on any thread that is no member.
  class Hold {
   public:
    Hold(HeldCallers& callers, io::SeededRandom& random);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
  };

  // How often a thread has been held up in this process so far. Any thread.
  static std::uint64_t Count();

 private:
  Mutex mutex_;
  std::vector<pthread_t> threads_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
