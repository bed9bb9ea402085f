// PassiveJob: one thing that may block, done on a worker's thread, and the way back to the loop.
//
//   class Content {
//     void Read();      // at passive level, while the loop's side does not touch what it uses
//     void ReadDone();  // on the loop's thread, in a later turn
//     void Refused();   // instead of Read: the caller's Unix user could not be taken on
//     PassiveJob<&Content::Read, &Content::ReadDone, &Content::Refused> reading_{loop_, *this};
//   };
#pragma once

#include "io/loop.h"
#include "kernel_sim/base/member_item.h"
#include "kernel_sim/base/passive_worker.h"

namespace ktlsim::io {

template <auto kWork, auto kReturned, auto kRefused>
class PassiveJob;

template <typename Owner, void (Owner::*kWork)(), void (Owner::*kReturned)(),
          void (Owner::*kRefused)()>
class PassiveJob<kWork, kReturned, kRefused> {
 public:
  PassiveJob(Loop& loop, Owner& owner) : loop_(loop), owner_(owner), back_(owner) {}
  PassiveJob(const PassiveJob&) = delete;
  PassiveJob& operator=(const PassiveJob&) = delete;

  // As whom the caller acts. True: the work or its refusal, and then the return, will be called,
  // each once, and the owner stays where it is until the return, which may destroy it or start the
  // job again. False: none is called, since there is no thread or memory. Not again before the
  // return has been entered. Any level.
  [[nodiscard]] bool Start(PassiveWorker& workers) { return workers.RunAsCaller(forth_, refused_); }

 private:
  void Forth() {
    (owner_.*kWork)();
    loop_.Post(back_);
  }
  void Refused() {
    (owner_.*kRefused)();
    loop_.Post(back_);
  }

  Loop& loop_;
  Owner& owner_;
  MemberItem<&PassiveJob::Forth> forth_{*this};
  MemberItem<&PassiveJob::Refused> refused_{*this};
  MemberItem<kReturned> back_;
};

}  // namespace ktlsim::io
