// OperationState: what a ring keeps of an operation in flight.
//
// It lies in bytes of the operation itself, whose header is installed and shows none of this. All
// access goes through here. Private to io. On the ring's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "io/end_watch.h"
#include "io/loop.h"
#include "io/operation_table.h"

namespace ktlsim::io {

struct OperationState {
  Operation* next = nullptr;  // in one of the ring's lists
  Operation* previous = nullptr;
  SocketId socket = kNoSocket;
  std::int16_t error_number = 0;  // of the final call, once that is due
  OperationPlace place : 7 = OperationPlace::kIdle;
  bool suspect : 1 = false;  // in the kernel when that lost a completion
  EndWatch watch{};          // of a receive

  // Puts a new state into `operation`, which is in flight from now on.
  static OperationState& Begin(Operation& operation, SocketId socket) {
    static_assert(sizeof(OperationState) <= sizeof(operation.state_));
    static_assert(alignof(OperationState) <= alignof(Operation));
    operation.in_flight_ = true;
    return *new (operation.state_) OperationState{.socket = socket};
  }
  // In flight no longer. Its state may not be asked for until it begins again.
  static void End(Operation& operation) { operation.in_flight_ = false; }

  // The operation is in flight.
  static OperationState& Of(Operation& operation) {
    return *std::launder(reinterpret_cast<OperationState*>(operation.state_));
  }
  static const OperationState& Of(const Operation& operation) {
    return *std::launder(reinterpret_cast<const OperationState*>(operation.state_));
  }

  // The arguments of a start.
  static Address& PeerOf(ConnectOperation& operation) { return operation.peer_; }
  static void SetBytes(SendOperation& operation, std::span<const std::byte> bytes) {
    operation.bytes_ = bytes;
    operation.sent_bytes_ = 0;
  }
  static std::span<const std::byte> AllBytesOf(const SendOperation& operation) {
    return operation.bytes_;
  }
  static OpenRequest& RequestOf(OpenOperation& operation) { return operation.request_; }
  static void*& PersonalityOf(OpenOperation& operation) { return operation.personality_; }
  static int& DescriptorOf(OpenOperation& operation) { return operation.descriptor_; }
  // What is still to be sent.
  static std::span<const std::byte> BytesOf(const SendOperation& operation) {
    return operation.bytes_.subspan(operation.sent_bytes_);
  }
  static void AddSent(SendOperation& operation, std::size_t bytes) {
    operation.sent_bytes_ += bytes;
  }
};

}  // namespace ktlsim::io
