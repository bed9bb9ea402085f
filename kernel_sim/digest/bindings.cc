#include "kernel_sim/digest/bindings.h"

#include <array>

namespace ktlsim::digest {
namespace {

bool HashNames(std::string_view service_name, std::string_view channel, HashValue* hash) {
  Hasher hasher(HashId::kMd5);
  return hasher.Hash({service_name, ":", channel}, hash);
}

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A number as the structure has it in memory: the lowest byte first.
class Number {
 public:
  explicit Number(std::size_t value) {
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      bytes_[i] = static_cast<char>((value >> (8 * i)) & 0xff);
    }
  }
  std::string_view view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, 4> bytes_{};
};

}  // namespace

bool MakeCoverage(const Bindings& bindings, std::string* text) {
  HashValue hash;
  if (!HashNames(bindings.service_name, bindings.channel, &hash)) return false;
  *text = kUpgraded;
  *text += HexText(hash).view();
  return true;
}

BindingsVerdict CheckCoverage(std::string_view cnonce, std::string_view service_name,
                              std::string_view channel) {
  HashValue hash;
  if (!HashNames(service_name, channel, &hash)) return BindingsVerdict::kNoMemory;
  const bool covers =
      CoversBindings(cnonce) && cnonce.substr(kUpgraded.size()).starts_with(HexText(hash).view());
  return covers ? BindingsVerdict::kRight : BindingsVerdict::kWrong;
}

bool HashChannel(const ChannelFacts& facts, std::string* digits) {
  HashValue hash;
  Hasher hasher(HashId::kMd5);
  if (!hasher.Hash({Number(facts.initiator_type).view(), Number(facts.initiator.size()).view(),
                    AsText(facts.initiator), Number(facts.acceptor_type).view(),
                    Number(facts.acceptor.size()).view(), AsText(facts.acceptor),
                    Number(facts.application.size()).view(), AsText(facts.application)},
                   &hash)) {
    return false;
  }
  *digits = HexText(hash).view();
  return true;
}

}  // namespace ktlsim::digest
