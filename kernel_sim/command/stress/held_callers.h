// HeldCallers: threads that are held up in the midst of whatever they do while the others go on, as
// a busy machine does to any thread, only far more often. What a caller looked up before that and
// uses afterwards is as old as can be.
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

  // One of them, drawn, is held up for as long as this lives, but not for long: what it was doing
  // may be what the others wait for. One at a time in the process; any thread that is no member.
  class Hold {
   public:
    Hold(HeldCallers& callers, io::SeededRandom& random);
    ~Hold();
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;
  };

  // How often somebody has been held up in this process so far. Any thread.
  static std::uint64_t Count();

 private:
  Mutex mutex_;
  std::vector<pthread_t> threads_ KTLSIM_GUARDED_BY(mutex_);
};

}  // namespace ktlsim::command
