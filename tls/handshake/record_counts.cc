#include "tls/handshake/record_counts.h"

namespace ktlsim::tls {

void RecordCounts::NoteWritten(std::span<const std::byte> written) {
  in_last_call_ = 0;
  while (written.size() >= kRecordHeaderBytes) {
    const std::size_t length =
        std::to_integer<std::size_t>(written[3]) << 8 | std::to_integer<std::size_t>(written[4]);
    if (written.size() < kRecordHeaderBytes + length) return;
    ++in_last_call_;
    const auto type = static_cast<ContentType>(std::to_integer<std::uint8_t>(written[0]));
    written_.Note(type);
    if (type != ContentType::kChangeCipherSpec && written_.change_seen &&
        length >= kExplicitNonceBytes) {
      last_explicit_nonce_ = 0;
      for (std::byte byte : written.subspan(kRecordHeaderBytes, kExplicitNonceBytes)) {
        last_explicit_nonce_ = last_explicit_nonce_ << 8 | std::to_integer<std::uint64_t>(byte);
      }
    }
    written = written.subspan(kRecordHeaderBytes + length);
  }
}

}  // namespace ktlsim::tls
