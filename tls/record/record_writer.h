// RecordWriter: seals records where the plaintext lies; header and trailer may lie elsewhere.
//
// Any level; not thread-safe: one writer belongs to one request at a time. See record_reader.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tls/record/record_protection.h"
#include "tls/types.h"

namespace ktlsim::tls {

enum class SealOutcome : std::uint8_t {
  kSealed,
  kBadLength,     // data over max_fragment(), or empty for other than application data
  kNoSpace,       // header or trailer too short; nothing was changed
  kLimitReached,  // this key may seal no more; TLS 1.3: SealKeyUpdate, TLS 1.2: close
  kNoMemory,      // no memory for the expanded key; nothing was used up, the same call may be made
                  // again
  kClosed,        // close_notify or a fatal alert was sealed before
  kFailed,        // the library failed; the writer refuses all later calls
};

struct SealResult {
  SealOutcome outcome = SealOutcome::kFailed;
  std::size_t header_used = 0;
  std::size_t trailer_used = 0;
};

class RecordWriter {
 public:
  // Enough for any record of either version.
  static constexpr std::size_t kHeaderBytesMax = kRecordHeaderBytes + kExplicitNonceBytes;
  static constexpr std::size_t kTrailerBytesMax = 1 + kAeadTagBytes;
  // Enough for what SealAlert and SealKeyUpdate write.
  static constexpr std::size_t kControlRecordBytesMax = kHeaderBytesMax + 5 + kTrailerBytesMax;

  RecordWriter() = default;
  RecordWriter(RecordWriter&&) = default;
  RecordWriter& operator=(RecordWriter&&) = default;

  // False: out of memory.
  [[nodiscard]] bool Init(ProtectionState state);

  // TLS 1.3: 5 and 17. TLS 1.2: 13 and 16 (AES-GCM), 5 and 16 (ChaCha20-Poly1305).
  std::size_t header_bytes() const;
  std::size_t trailer_bytes() const;
  std::size_t max_fragment() const { return protection_.fragment_bytes_max(); }

  // Seals `data` in place as one record: header | data | trailer is what goes on the wire. The
  // three are disjoint and need not touch. An empty `data` is legal for application data.
  SealResult Seal(ContentType type, std::span<std::byte> header, std::span<std::byte> data,
                  std::span<std::byte> trailer);

  // Whether `data_bytes` of application data can be sealed as one record in these places.
  SealOutcome CheckData(std::size_t header_bytes, std::size_t data_bytes,
                        std::size_t trailer_bytes) const {
    return CheckSeal(ContentType::kApplicationData, header_bytes, data_bytes, trailer_bytes);
  }
  // How many records of application data may still be sealed before the key has to change, or the
  // connection to end (0 also after a failure).
  std::uint64_t records_left() const;

  // Writes an alert record to `out` (kControlRecordBytesMax is enough); `used` is its length.
  // close_notify and fatal alerts close this writer for all but further alerts.
  SealOutcome SealAlert(Alert alert, std::span<std::byte> out, std::size_t& used);

  // TLS 1.3: writes a KeyUpdate record (RFC 8446 4.6.3) and changes to the next key: whatever is
  // sealed later must be sent later. `request_peer` asks the peer to update its own, too.
  SealOutcome SealKeyUpdate(bool request_peer, std::span<std::byte> out, std::size_t& used);

  // TLS 1.3: so many records were sealed that the owner should call SealKeyUpdate soon.
  bool key_update_due() const;
  bool closed() const { return closed_; }
  std::uint64_t sequence_number() const { return protection_.sequence_number(); }
  RecordProtection& protection_for_test() { return protection_; }

 private:
  SealOutcome CheckSeal(ContentType type, std::size_t header, std::size_t data,
                        std::size_t trailer) const;
  SealOutcome SealControl(ContentType type, std::span<const std::uint8_t> message,
                          std::span<std::byte> out, std::size_t& used);
  SealOutcome SealTls13(ContentType type, std::span<std::byte> header, std::span<std::byte> data,
                        std::span<std::byte> trailer);
  SealOutcome SealTls12(ContentType type, std::span<std::byte> header, std::span<std::byte> data,
                        std::span<std::byte> trailer);

  RecordProtection protection_;
  std::uint64_t explicit_nonce_ = 0;
  bool closed_ = false;
  bool failed_ = false;
};

}  // namespace ktlsim::tls
