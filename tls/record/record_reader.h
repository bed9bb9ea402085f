// RecordReader: opens protected records, in place. What a newcomer gets wrong: the reader owns no
// bytes. It opens the first record of its input, and the plaintext lies where the ciphertext lay.
//
// Any level; not thread-safe: one reader belongs to one request at a time. Reader and writer of a
// connection share nothing, so both may work at once on two threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tls/record/record_protection.h"
#include "tls/types.h"

namespace ktlsim::tls {

struct OpenResult {
  enum class Outcome : std::uint8_t {
    kOpened,    // `fragment` holds plaintext of `type` (never an alert); empty for an empty
                // application record
    kNeedMore,  // `missing` more bytes are needed at least; nothing consumed, nothing changed
    kIgnored,   // a warning alert without consequence (`alert`): consumed, go on with the next
    kAlert,     // the peer sent `alert`, close_notify or a fatal one: nothing follows it
    kNoMemory,  // no memory for the expanded key: nothing changed, the same call may be made again
    kFailed,    // the peer must be sent `alert`; the connection is over
  };
  Outcome outcome = Outcome::kFailed;
  ContentType type = ContentType::kApplicationData;
  std::span<std::byte> fragment;  // inside `wire`, and dies with it
  std::size_t consumed = 0;       // length of the record on the wire
  std::size_t missing = 0;
  // fragment starts at wire + header_bytes; header + fragment + trailer == consumed.
  std::size_t header_bytes = 0;
  std::size_t trailer_bytes = 0;
  Alert alert;
  const char* why = "";  // kFailed: what the peer did, for a log; a literal
};

class RecordReader {
 public:
  RecordReader() = default;
  RecordReader(RecordReader&&) = default;
  RecordReader& operator=(RecordReader&&) = default;

  // False: out of memory.
  [[nodiscard]] bool Init(ProtectionState state);

  // Opens the first record in `wire`. After kAlert and kFailed every later call returns the same
  // and consumes nothing. The peer does not learn why decryption failed.
  OpenResult Open(std::span<std::byte> wire);

  // The whole length of the first record in `wire`, as far as its header says: never more than
  // kRecordBytesMax; kRecordHeaderBytes when the header is cut.
  static std::size_t RecordBytes(std::span<const std::byte> wire);

  // Counts a KeyUpdate of the peer's. False: too many without application data between them.
  [[nodiscard]] bool AdmitKeyUpdate();
  // TLS 1.3: the peer's KeyUpdate was read (PostHandshake does this). False: out of memory,
  // nothing changed; without TLS 1.3 the reader then refuses everything.
  [[nodiscard]] bool Rekey();

  // No record can follow: an alert ended the connection, or a failure did.
  bool closed() const { return ended_; }
  bool received_close_notify() const {
    return ended_ && end_.outcome == OpenResult::Outcome::kAlert &&
           end_.alert.description == AlertDescription::kCloseNotify;
  }
  std::uint64_t sequence_number() const { return protection_.sequence_number(); }
  RecordProtection& protection_for_test() { return protection_; }

 private:
  struct Plaintext;
  bool Decrypt(std::span<std::byte> record, Plaintext& out, AlertDescription& failure);
  bool DecryptTls13(std::span<std::byte> record, Plaintext& out, AlertDescription& failure);
  bool DecryptTls12(std::span<std::byte> record, Plaintext& out, AlertDescription& failure);
  bool OpenInPlace(const RecordProtection::Nonce& nonce, Bytes aad, std::span<std::byte> data,
                   std::span<const std::byte, kAeadTagBytes> tag, AlertDescription& failure);
  bool WithinRunLimits(ContentType type, std::size_t bytes);
  OpenResult ReceiveAlert(OpenResult result);
  OpenResult Fail(AlertDescription description, const char* why);

  RecordProtection protection_;
  std::uint32_t empty_records_ = 0;
  std::uint32_t control_records_ = 0;
  std::uint32_t key_updates_ = 0;
  bool ended_ = false;
  OpenResult end_;
};

}  // namespace ktlsim::tls
