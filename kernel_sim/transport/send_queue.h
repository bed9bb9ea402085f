// SendQueue: plaintext on its way to sealed bytes on its way to the socket, in at most two buffers.
//
// One buffer, from front to back; everything lies where it will be sent from:
//
//     0 ... sent        sealed            next               open
//     | gone | to send  |                 | header data trailer | ... | header data... room |
//                                           full records not         the record being
//                                           sealed yet               filled
//
// A record that is full but not sealed keeps its length where its header will be: records differ in
// length (RecordSizing).
//
// The second buffer exists while the first cannot take more, so that one is filled and sealed
// while the other is sent. An idle queue holds none. Plaintext that is committed and never sealed
// is wiped before its buffer is given back. Knows layout only; its owner seals and sends.
// Belongs to the connection's loop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel_sim/transport/memory.h"
#include "kernel_sim/transport/profile.h"

namespace ktlsim::transport {

class SendQueue {
 public:
  struct Sizes {
    std::uint32_t header = 0;
    std::uint32_t trailer = 0;
    std::uint32_t message_max = 0;
  };
  // A record as it will be sealed: three pieces that follow each other.
  struct Record {
    std::byte* start = nullptr;  // the header's place
    std::uint32_t data_bytes = 0;
  };

  // A header has at least so many bytes.
  static constexpr std::uint32_t kHeaderBytesMin = sizeof(std::uint32_t);

  // `sizing` must outlive the queue.
  SendQueue(BufferPool& buffers, const RecordSizing& sizing) : buffers_(buffers), sizing_(sizing) {}
  ~SendQueue() { Clear(); }

  // Before anything else, with SECPKG_ATTR_STREAM_SIZES.
  void Configure(const Sizes& sizes);
  const Sizes& sizes() const { return sizes_; }

  // Where the next plaintext goes; empty when both buffers are full or memory is short.
  std::span<std::byte> Space(std::uint64_t now_ns);
  void Commit(std::size_t bytes);

  // True: there is plaintext that BeginSeal has not handed out. In front: in the buffer that is
  // sent first.
  bool HasUnsealed() const;
  bool FrontHasUnsealed() const;
  // Hands out the oldest unsealed records of one buffer, as many as `records` has places; returns
  // how many. Nothing else until EndSeal has been called for each. Only if HasUnsealed.
  std::size_t BeginSeal(std::span<Record> records);
  // Hands out a record of its own for the two bytes of an alert, after everything committed.
  // `start` null: no memory. Only if not HasUnsealed; nothing may be committed afterwards.
  Record BeginAlert();
  // The oldest record handed out is sealed, with these sizes; closes gaps.
  void EndSeal(std::uint32_t header, std::uint32_t data, std::uint32_t trailer);
  bool sealing_front() const { return sealing_ != 0 && seal_half_ == 0; }
  // Puts bytes that are sealed already (a token) after everything else. False, and nothing done, if
  // there is unsealed plaintext, a record is handed out, or room is short.
  [[nodiscard]] bool AppendSealed(std::span<const std::byte> bytes);

  // The oldest sealed bytes that were not sent; they stay where they are until Sent.
  std::span<const std::byte> Sealed() const;
  void Sent(std::size_t bytes, std::uint64_t now_ns);
  // Nothing in it at all.
  bool idle() const { return used_ == 0; }
  // Gives back a buffer that was made for a Space that was not used.
  void ReleaseIfEmpty();
  void Clear();

 private:
  struct Half {
    Buffer* memory = nullptr;
    std::uint32_t sent = 0;
    std::uint32_t sealed = 0;
    std::uint32_t taken = 0;  // the oldest record that is handed out
    std::uint32_t next = 0;
    std::uint32_t open = 0;
    std::uint32_t open_bytes = 0;
    std::uint32_t open_max = 0;  // decided when the record gets its first byte

    bool unsealed() const { return next != open || open_bytes != 0; }
  };

  std::uint32_t overhead() const { return sizes_.header + sizes_.trailer; }
  // Kept free in each buffer, so that an alert always finds room.
  std::uint32_t alert_room() const { return overhead() + 2; }
  std::uint32_t RoomIn(const Half& half) const;
  std::uint32_t NextRecordMax() const;
  void CloseRecord(Half& half);
  Record TakeRecord(Half& half);
  void GiveBack(Half& half);
  bool Grow(std::size_t bytes);
  void DropDrainedFront();

  BufferPool& buffers_;
  const RecordSizing& sizing_;
  std::array<Half, 2> halves_;
  Sizes sizes_;
  std::uint64_t sent_ns_ = 0;      // when something was sent last
  std::uint32_t first_bytes_ = 0;  // of this burst in small records, until there have been enough
  std::uint8_t used_ = 0;          // of halves_
  std::uint8_t sealing_ = 0;       // records handed out
  std::uint8_t seal_half_ = 0;     // where they lie
};

}  // namespace ktlsim::transport
