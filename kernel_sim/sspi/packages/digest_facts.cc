#include "kernel_sim/sspi/packages/digest_facts.h"

#include <algorithm>
#include <string_view>

namespace ktlsim::sspi {
namespace {

constexpr std::uint8_t kVersion = 2;

// Numbers have the highest byte first; texts have two bytes of length before them.
class Writer {
 public:
  explicit Writer(std::size_t room) { bytes_.reserve(room); }

  void Number(std::uint64_t value, unsigned size) {
    for (unsigned i = size; i > 0; --i) {
      bytes_.push_back(static_cast<std::byte>(value >> (8 * (i - 1))));
    }
  }
  void Text(std::string_view text) {
    Number(text.size(), 2);
    const auto bytes = std::as_bytes(std::span(text));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void Nonce(const DigestNonce& nonce) {
    Text(nonce.text);
    Number(nonce.number, 4);
    Number(nonce.epoch, 8);
  }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint64_t Number(unsigned size) {
    std::uint64_t value = 0;
    for (const std::byte byte : Take(size)) {
      value = (value << 8) | std::to_integer<std::uint64_t>(byte);
    }
    return value;
  }
  std::string_view Text() {
    const std::span<const std::byte> text = Take(static_cast<std::size_t>(Number(2)));
    return {reinterpret_cast<const char*>(text.data()), text.size()};
  }
  void Nonce(DigestNonce* nonce) {
    nonce->text = Text();
    nonce->number = static_cast<std::uint32_t>(Number(4));
    nonce->epoch = Number(8);
  }
  bool AtItsEnd() const { return good_ && bytes_.empty(); }

 private:
  std::span<const std::byte> Take(std::size_t size) {
    good_ = good_ && size <= bytes_.size();
    if (!good_) return {};
    const std::span<const std::byte> taken = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return taken;
  }

  std::span<const std::byte> bytes_;
  bool good_ = true;
};

// Longer ones do not fit into a message.
std::string_view Bounded(std::string_view text) { return text.substr(0, 0xffff); }

}  // namespace

std::vector<std::byte> WriteDigestFacts(const DigestFacts& facts) {
  // At once: a vector that grows leaves copies behind.
  Writer writer(128 + facts.server.size() + facts.realm.size() + facts.username.size() +
                facts.service_name.size() + facts.nonce.text.size() + facts.previous.text.size());
  writer.Number(kVersion, 1);
  writer.Number(static_cast<std::uint8_t>(facts.algorithm), 1);
  writer.Number(static_cast<std::uint8_t>(facts.qop), 1);
  writer.Number(facts.in_order ? 1 : 0, 1);
  writer.Text(Bounded(facts.server));
  writer.Text(Bounded(facts.realm));
  writer.Text(Bounded(facts.username));
  writer.Text(Bounded(facts.service_name));
  writer.Text(facts.session_hash.raw());
  writer.Nonce(facts.nonce);
  writer.Nonce(facts.previous);
  writer.Number(facts.previous_until_ms, 8);
  return writer.Take();
}

bool ReadDigestFacts(std::span<const std::byte> bytes, DigestFacts* facts) {
  Reader reader(bytes);
  if (reader.Number(1) != kVersion) return false;
  const std::uint64_t algorithm = reader.Number(1);
  const std::uint64_t qop = reader.Number(1);
  facts->in_order = reader.Number(1) != 0;
  facts->server = reader.Text();
  facts->realm = reader.Text();
  facts->username = reader.Text();
  facts->service_name = reader.Text();
  const std::string_view session_hash = reader.Text();
  reader.Nonce(&facts->nonce);
  reader.Nonce(&facts->previous);
  facts->previous_until_ms = reader.Number(8);
  if (!reader.AtItsEnd() || algorithm >= digest::kAlgorithms.size() ||
      qop > static_cast<std::uint64_t>(digest::Qop::kAuthInt)) {
    return false;
  }
  facts->algorithm = static_cast<digest::Algorithm>(algorithm);
  facts->qop = static_cast<digest::Qop>(qop);
  if (session_hash.size() != digest::HashBytes(digest::HashOf(facts->algorithm))) return false;
  facts->session_hash = digest::HashValue(digest::Bytes(
      reinterpret_cast<const std::uint8_t*>(session_hash.data()), session_hash.size()));
  return facts->nonce.number != 0;
}

}  // namespace ktlsim::sspi
