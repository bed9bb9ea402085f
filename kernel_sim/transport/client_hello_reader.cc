#include "kernel_sim/transport/client_hello_reader.h"

#include <algorithm>

namespace ktlsim::transport {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint32_t kClientHello = 1;
constexpr std::uint32_t kServerName = 0;
constexpr std::uint32_t kHostName = 0;
constexpr std::uint32_t kRecordFragmentMax = 16384;  // RFC 8446 5.1
constexpr std::uint32_t kSessionBytesMax = 32;
constexpr std::uint32_t kVersionAndRandomBytes = 2 + 32;

}  // namespace

ClientHelloReader::Outcome ClientHelloReader::Read(std::span<const std::byte> bytes) {
  while (outcome_ == Outcome::kNeedMore && !bytes.empty()) {
    if (fragment_left_ == 0) {
      outcome_ = ReadRecordHeader(bytes.front());
      bytes = bytes.subspan(1);
      continue;
    }
    const std::size_t part = std::min<std::size_t>(bytes.size(), fragment_left_);
    fragment_left_ -= static_cast<std::uint32_t>(part);
    outcome_ = ReadFragment(bytes.first(part));
    bytes = bytes.subspan(part);
  }
  return outcome_;
}

ClientHelloReader::Outcome ClientHelloReader::ReadRecordHeader(std::byte byte) {
  header_[header_bytes_++] = std::to_integer<std::uint8_t>(byte);
  const Outcome outcome = CheckRecordHeader();
  if (outcome != Outcome::kNeedMore || header_bytes_ < header_.size()) return outcome;
  fragment_left_ = std::uint32_t{header_[3]} << 8 | header_[4];
  header_bytes_ = 0;
  first_record_ = false;
  // RFC 8446 5.1: fragments of a handshake are not empty.
  if (fragment_left_ == 0 || fragment_left_ > kRecordFragmentMax) return Outcome::kBroken;
  return Outcome::kNeedMore;
}

// What is not TLS is known by its first byte, or by its second.
ClientHelloReader::Outcome ClientHelloReader::CheckRecordHeader() const {
  const bool tls = header_[0] == kHandshakeRecord && (header_bytes_ < 2 || header_[1] == 3);
  if (tls) return Outcome::kNeedMore;
  return first_record_ ? Outcome::kNotTls : Outcome::kBroken;
}

ClientHelloReader::Outcome ClientHelloReader::ReadFragment(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    std::size_t part = 1;
    Outcome outcome = Outcome::kNeedMore;
    switch (field_) {
      case Field::kVersionAndRandom:
      case Field::kSession:
      case Field::kSuites:
      case Field::kCompression:
      case Field::kExtension:
      case Field::kName:
        part = std::min<std::size_t>(bytes.size(), field_left_);
        if (field_ == Field::kName) {
          std::ranges::transform(bytes.first(part), name_.data() + name_bytes_,
                                 [](std::byte byte) { return static_cast<char>(byte); });
          name_bytes_ += part;
        }
        field_left_ -= static_cast<std::uint32_t>(part);
        if (field_left_ == 0) outcome = EndOfField(0);
        break;
      case Field::kMessageType:
      case Field::kMessageLength:
      case Field::kSessionLength:
      case Field::kSuitesLength:
      case Field::kCompressionLength:
      case Field::kExtensionsLength:
      case Field::kExtensionType:
      case Field::kExtensionLength:
      case Field::kListLength:
      case Field::kNameType:
      case Field::kNameLength:
        outcome = ReadNumber(std::to_integer<std::uint8_t>(bytes.front()));
        break;
    }
    if (outcome != Outcome::kNeedMore) return outcome;
    bytes = bytes.subspan(part);
  }
  return Outcome::kNeedMore;
}

ClientHelloReader::Outcome ClientHelloReader::ReadNumber(std::uint8_t byte) {
  number_ = number_ << 8 | byte;
  if (--field_left_ != 0) return Outcome::kNeedMore;
  const std::uint32_t number = number_;
  number_ = 0;
  return EndOfField(number);
}

// Every field is taken out of what is left of the message when it is expected, so that no length
// can lead beyond its end. A field without bytes ends at once.
ClientHelloReader::Outcome ClientHelloReader::Expect(Field field, std::uint32_t bytes) {
  if (bytes > message_left_) return Outcome::kBroken;
  message_left_ -= bytes;
  field_ = field;
  field_left_ = bytes;
  return bytes == 0 ? EndOfField(0) : Outcome::kNeedMore;
}

ClientHelloReader::Outcome ClientHelloReader::EndOfField(std::uint32_t number) {
  switch (field_) {
    case Field::kMessageType:
      if (number != kClientHello) return Outcome::kBroken;
      message_left_ = 3;
      return Expect(Field::kMessageLength, 3);
    case Field::kMessageLength:
      if (number > kMessageBytesMax) return Outcome::kBroken;
      message_left_ = number;
      return Expect(Field::kVersionAndRandom, kVersionAndRandomBytes);
    case Field::kVersionAndRandom:
      return Expect(Field::kSessionLength, 1);
    case Field::kSessionLength:
      return number > kSessionBytesMax ? Outcome::kBroken : Expect(Field::kSession, number);
    case Field::kSession:
      return Expect(Field::kSuitesLength, 2);
    case Field::kSuitesLength:
      return Expect(Field::kSuites, number);
    case Field::kSuites:
      return Expect(Field::kCompressionLength, 1);
    case Field::kCompressionLength:
      return Expect(Field::kCompression, number);
    case Field::kCompression:
      // TLS 1.2 need not have extensions (RFC 5246 7.4.1.2).
      return message_left_ == 0 ? Outcome::kName : Expect(Field::kExtensionsLength, 2);
    case Field::kExtensionsLength:
      if (number != message_left_) return Outcome::kBroken;
      extensions_left_ = number;
      return ExpectExtension();
    case Field::kExtensionType:
    case Field::kExtensionLength:
    case Field::kExtension:
    case Field::kListLength:
    case Field::kNameType:
    case Field::kNameLength:
    case Field::kName:
      break;
  }
  return EndOfListField(number);
}

ClientHelloReader::Outcome ClientHelloReader::ExpectExtension() {
  if (extensions_left_ == 0) return Outcome::kName;
  if (extensions_left_ < 4) return Outcome::kBroken;
  extensions_left_ -= 4;
  return Expect(Field::kExtensionType, 2);
}

ClientHelloReader::Outcome ClientHelloReader::EndOfListField(std::uint32_t number) {
  switch (field_) {
    case Field::kExtensionType:
      extension_type_ = number;
      return Expect(Field::kExtensionLength, 2);
    case Field::kExtensionLength:
      if (number > extensions_left_) return Outcome::kBroken;
      extensions_left_ -= number;
      extension_left_ = number;
      return extension_type_ == kServerName ? Expect(Field::kListLength, 2)
                                            : Expect(Field::kExtension, number);
    case Field::kExtension:
      return ExpectExtension();
    case Field::kListLength:
      // A list of one name: no other kind of name was ever defined.
      return number + 2 != extension_left_ || number < 3 ? Outcome::kBroken
                                                         : Expect(Field::kNameType, 1);
    case Field::kNameType:
      return number != kHostName ? Outcome::kBroken : Expect(Field::kNameLength, 2);
    case Field::kNameLength:
      // An empty name is refused (RFC 6066 3: 1 to 2^16-1 bytes), and one that is longer than DNS
      // names are.
      if (number + 5 != extension_left_ || number == 0 || number > kNameBytesMax) {
        return Outcome::kBroken;
      }
      return Expect(Field::kName, number);
    case Field::kName:
      return Outcome::kName;
    case Field::kMessageType:
    case Field::kMessageLength:
    case Field::kVersionAndRandom:
    case Field::kSessionLength:
    case Field::kSession:
    case Field::kSuitesLength:
    case Field::kSuites:
    case Field::kCompressionLength:
    case Field::kCompression:
    case Field::kExtensionsLength:
      break;
  }
  return Outcome::kBroken;
}

}  // namespace ktlsim::transport
