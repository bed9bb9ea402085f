#include "tests/tls/recutter.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace ktlsim::tls::test {
namespace {

constexpr std::byte kChangeCipherSpec{20};
constexpr std::byte kHandshake{22};
constexpr std::byte kApplicationData{23};
constexpr std::array kUserCanceled = {std::byte{1}, std::byte{90}};

void AppendPlain(std::byte type, std::span<const std::byte> content, Buffer& out) {
  const std::array header = {type, std::byte{3}, std::byte{3},
                             static_cast<std::byte>(content.size() >> 8),
                             static_cast<std::byte>(content.size() & 0xff)};
  out.insert(out.end(), header.begin(), header.end());
  out.insert(out.end(), content.begin(), content.end());
}

Secret FromHex(const std::string& text) {
  Secret secret;
  secret.Resize(text.size() / 2);
  for (std::size_t i = 0; i < secret.size(); ++i) {
    secret.span()[i] =
        static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, /*base=*/16));
  }
  return secret;
}

}  // namespace

Recutter::Recutter(SSL_CTX* context, LibsslSide& from, Cutting cutting)
    : from_(from), cutting_(cutting), client_(SSL_is_server(from.ssl) == 0) {
  SSL_set_app_data(from.ssl, this);
  SSL_CTX_set_keylog_callback(context, &KeyLogLine);
}

void Recutter::KeyLogLine(const SSL* ssl, const char* line) {
  auto& self = *static_cast<Recutter*>(SSL_get_app_data(ssl));
  const std::string_view text(line);
  if (text.starts_with(self.client_ ? "CLIENT_HANDSHAKE_TRAFFIC_SECRET "
                                    : "SERVER_HANDSHAKE_TRAFFIC_SECRET ")) {
    self.handshake_secret_ = text.substr(text.rfind(' ') + 1);
  }
}

Buffer Recutter::Drain() {
  const Buffer wire = from_.Drain();
  Buffer out;
  std::span<const std::byte> rest(wire);
  while (rest.size() >= kRecordHeaderBytes) {
    const std::size_t bytes = kRecordHeaderBytes + (std::to_integer<std::size_t>(rest[3]) << 8) +
                              std::to_integer<std::size_t>(rest[4]);
    EXPECT_LE(bytes, rest.size()) << "libssl flushes whole records";
    if (bytes > rest.size()) break;
    OneRecord(rest.first(bytes), out);
    rest = rest.subspan(bytes);
  }
  return out;
}

void Recutter::OneRecord(std::span<const std::byte> record, Buffer& out) {
  const bool tls13 = SSL_version(from_.ssl) == TLS1_3_VERSION;
  const bool sealed = tls13 ? record[0] == kApplicationData : change_cipher_spec_;
  if (record[0] == kChangeCipherSpec) change_cipher_spec_ = true;
  if (sealed && !keys_changed_ && FindKeys() && Recut(record, out)) return;
  if (sealed) keys_changed_ = true;
  Plain(record, out);
}

// Only unprotected handshake records are cut again.
void Recutter::Plain(std::span<const std::byte> record, Buffer& out) const {
  if (record[0] != kHandshake || keys_changed_) {
    out.insert(out.end(), record.begin(), record.end());
    return;
  }
  std::span<const std::byte> rest = record.subspan(kRecordHeaderBytes);
  while (!rest.empty()) {
    const std::size_t bytes = std::min(cutting_.piece_bytes, rest.size());
    AppendPlain(kHandshake, rest.first(bytes), out);
    rest = rest.subspan(bytes);
  }
}

Buffer Recutter::Forge(std::span<const std::byte> content) {
  Buffer out;
  EXPECT_TRUE(FindKeys());
  Seal(ContentType::kHandshake, content, out);
  return out;
}

bool Recutter::FindKeys() {
  if (reader_) return true;
  const SuiteInfo* suite = FindSuite(SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(from_.ssl)));
  const auto state = [&] {
    ProtectionState made;
    made.suite = suite;
    if (suite->version == Version::kTls13) {
      made.traffic_secret = FromHex(handshake_secret_);
      return made;
    }
    Secret master;
    master.Resize(Secret::kBytesMax);
    SSL_SESSION_get_master_key(SSL_get_session(from_.ssl), master.span().data(), master.size());
    std::array<std::uint8_t, 32> client_random{};
    std::array<std::uint8_t, 32> server_random{};
    SSL_get_client_random(from_.ssl, client_random.data(), client_random.size());
    SSL_get_server_random(from_.ssl, server_random.data(), server_random.size());
    Tls12KeyBlock block;
    EXPECT_TRUE(DeriveTls12KeyBlock(*suite, master, client_random, server_random, block));
    made.keys = std::move(client_ ? block.client_write : block.server_write);
    return made;
  };
  reader_.emplace();
  return reader_->Init(state()) && writer_.Init(state());
}

// False: the record is not sealed with the handshake keys.
bool Recutter::Recut(std::span<const std::byte> record, Buffer& out) {
  Buffer copy(record.begin(), record.end());
  const OpenResult opened = reader_->Open(copy);
  if (opened.outcome != OpenResult::Outcome::kOpened) return false;
  if (opened.type != ContentType::kHandshake) {
    Seal(opened.type, opened.fragment, out);
    return true;
  }
  std::span<const std::byte> rest = opened.fragment;
  while (!rest.empty()) {
    const std::size_t bytes = std::min(cutting_.piece_bytes, rest.size());
    if (cutting_.warnings) Seal(ContentType::kAlert, kUserCanceled, out);
    Seal(ContentType::kHandshake, rest.first(bytes), out);
    ++protected_records_;
    rest = rest.subspan(bytes);
  }
  return true;
}

void Recutter::Seal(ContentType type, std::span<const std::byte> content, Buffer& out) {
  Buffer record(writer_.header_bytes() + content.size() + writer_.trailer_bytes());
  std::ranges::copy(content, record.begin() + static_cast<std::ptrdiff_t>(writer_.header_bytes()));
  const std::span<std::byte> all(record);
  const SealResult sealed = writer_.Seal(type, all.first(writer_.header_bytes()),
                                         all.subspan(writer_.header_bytes(), content.size()),
                                         all.last(writer_.trailer_bytes()));
  EXPECT_EQ(sealed.outcome, SealOutcome::kSealed);
  out.insert(out.end(), record.begin(), record.end());
}

}  // namespace ktlsim::tls::test
