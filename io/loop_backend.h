// LoopBackend: what every ring has in common: access to the private parts of operations, lists of
// operations, and the one place where an outcome becomes a call of a final handler.
//
// For implementors of Ring only.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include "io/loop.h"
#include "io/ring.h"

namespace ktlsim::io {

class LoopBackend : public Ring {
 protected:
  // First in, first out, with removal from the middle. An operation is in at most one list.
  class OperationList {
   public:
    OperationList() = default;
    OperationList(const OperationList&) = delete;
    OperationList& operator=(const OperationList&) = delete;

    bool empty() const { return head_ == nullptr; }
    std::size_t size() const { return size_; }

    void PushBack(Operation& operation) {
      KTLSIM_ASSERT(operation.next_ == nullptr && operation.previous_ == nullptr);
      operation.previous_ = tail_;
      (tail_ != nullptr ? tail_->next_ : head_) = &operation;
      tail_ = &operation;
      ++size_;
    }

    Operation* front() const { return head_; }

    void Remove(Operation& operation) {
      KTLSIM_ASSERT(size_ > 0);
      (operation.next_ != nullptr ? operation.next_->previous_ : tail_) = operation.previous_;
      (operation.previous_ != nullptr ? operation.previous_->next_ : head_) = operation.next_;
      operation.next_ = nullptr;
      operation.previous_ = nullptr;
      --size_;
    }

    // nullptr when empty.
    Operation* PopFront() {
      Operation* operation = head_;
      if (operation != nullptr) Remove(*operation);
      return operation;
    }

   private:
    Operation* head_ = nullptr;
    Operation* tail_ = nullptr;
    std::size_t size_ = 0;
  };

  static std::uint32_t& State(Operation& operation) { return operation.state_; }
  static std::int32_t& ResultOf(Operation& operation) { return operation.result_; }
  static SocketId SocketOf(const Operation& operation) { return operation.socket_; }
  static bool& CancelRequested(Operation& operation) { return operation.cancel_requested_; }
  static Address& PeerOf(ConnectOperation& operation) { return operation.peer_; }
  static std::span<const std::byte>& BytesOf(SendOperation& operation) { return operation.bytes_; }

  static void MarkStarted(Operation& operation, SocketId socket) {
    KTLSIM_ASSERT(!operation.in_flight_);
    operation.socket_ = socket;
    operation.in_flight_ = true;
    operation.cancel_requested_ = false;
  }

  // The last thing done with `operation`: its handler may start it again or destroy it.
  // `error_number` 0 is success.
  static void MarkEndedAndCall(Operation& operation, int error_number) {
    KTLSIM_ASSERT(operation.in_flight_);
    operation.in_flight_ = false;
    const auto outcome = [error_number](const char* what) {
      return error_number == 0 ? Status() : IoError(error_number, what);
    };
    switch (operation.kind_) {
      case Operation::Kind::kAccept:
        static_cast<AcceptOperation&>(operation).OnAcceptEnded(outcome("accept a connection"));
        return;
      case Operation::Kind::kConnect:
        static_cast<ConnectOperation&>(operation).OnConnected(outcome("connect"));
        return;
      case Operation::Kind::kReceive:
        static_cast<ReceiveOperation&>(operation).OnReceiveEnded(outcome("receive"));
        return;
      case Operation::Kind::kSend:
        static_cast<SendOperation&>(operation).OnSent(outcome("send"));
        return;
    }
  }
};

}  // namespace ktlsim::io
