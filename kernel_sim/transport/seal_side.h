// SealSide: one connection's plaintext on its way into records: EncryptMessage, in place, one
// record a call and one call at a time.
//
// What a newcomer gets wrong: a call that was refused, or that failed because the keys were about
// to change, has changed nothing. The same record is submitted again with the same descriptors
// (Sealing::kRetry); only EndSeal takes it off the queue.
//
// Its owner registers the callback of the async context, and passes the status to Finish. Belongs
// to the connection's loop.
#pragma once

#include <sspi.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_sim/transport/connection_state.h"
#include "kernel_sim/transport/profile.h"
#include "kernel_sim/transport/send_queue.h"

namespace ktlsim::transport {

class SealSide {
 public:
  // The result of a call.
  enum class Outcome : std::uint8_t {
    kSealed,
    kSealedClose,    // that was close_notify
    kLater,          // the same again, when the keys have changed
    kShortOfMemory,  // the same again, a moment later
    kFailed,
  };

  // `async` and `profile` must outlive this.
  SealSide(SspiAsyncContext* async, BufferPool& buffers, const TlsProfile& profile)
      : async_(async), profile_(profile), queue_(buffers, profile.record_sizing()) {}

  SspiAsyncContext* async() const { return async_; }
  SendQueue& queue() { return queue_; }
  const SendQueue& queue() const { return queue_; }

  // ---- Sealing

  bool in_flight() const { return sealing_ == Sealing::kInFlight; }
  // True: there is something to seal, and it may be sealed now. `close_due`: close_notify is due,
  // after everything else.
  bool Due(bool close_due) const;
  // Describes the next record, or close_notify if the queue has none; not for a retry, which finds
  // everything described. False: no memory for close_notify.
  [[nodiscard]] bool Describe();
  // EncryptMessage on `context`. SEC_E_OK: in flight, and the callback will come. Anything else:
  // refused, and a retry is due.
  SECURITY_STATUS Submit(CtxtHandle& context);
  // The call has ended with `status`. `keys_may_change`: the connection can still ask for a
  // KeyUpdate, which the refused record may be waiting for.
  Outcome Finish(SECURITY_STATUS status, bool keys_may_change);
  // How much plaintext the record that was sealed last holds.
  std::uint32_t plaintext_bytes() const { return pieces_[1].cbBuffer; }
  bool retry_due() const { return sealing_ == Sealing::kRetry; }

  // ---- Keys

  // No record may be sealed: a leg has to be made first.
  void Hold();
  void Release() { held_ = false; }
  bool held() const { return held_; }
  // A leg without input has to be made, which hands out a KeyUpdate if one is due.
  bool key_check_due() const { return key_check_due_; }
  void BeginKeyCheck();

  // ---- Sending

  // What is being sealed lies in the buffer that is sent next, and travels along: do not send yet.
  bool HoldsFront() const { return in_flight() && queue_.sealing_front(); }
  // The sealed bytes to send now, until Sent; empty: none.
  std::span<const std::byte> BeginSend();
  // True: the bytes sent since the queue was last empty contain plaintext of the handler. Replies
  // to key updates alone are no activity: the peer can cause as many as it likes.
  bool Sent(std::uint64_t now_ns);

 private:
  void Count();

  SspiAsyncContext* const async_;
  const TlsProfile& profile_;
  SendQueue queue_;
  SecBuffer pieces_[4];  // header, data, trailer, empty
  SecBufferDesc record_;
  std::uint64_t records_since_key_check_ = 0;
  std::uint32_t sending_bytes_ = 0;  // of queue_, on the socket now
  std::uint32_t holds_ = 0;          // counted, to tell why a record was refused
  std::uint32_t holds_at_submit_ = 0;
  Sealing sealing_ = Sealing::kIdle;
  bool is_close_ = false;  // what pieces_ describe is close_notify
  bool held_ = false;
  bool key_check_due_ = false;
  bool key_limit_met_ = false;  // the last record was refused, perhaps because the key must change
  bool plaintext_queued_ = false;  // some sealed bytes are plaintext of the handler
};

}  // namespace ktlsim::transport
