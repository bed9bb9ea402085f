// ipsec-mb called as directly as possible: the floor of BM_RecordSeal and BM_RecordOpen.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace ktlsim::tls {

class RawIpsecMb {
 public:
  explicit RawIpsecMb(std::span<const std::uint8_t> key);
  ~RawIpsecMb();
  bool usable() const { return state_ != nullptr; }
  // In place, a 5 byte AAD, a nonce that moves on.
  void Seal(std::span<std::uint8_t> data);
  // The same work backwards; the tag is computed and not compared.
  void Open(std::span<std::uint8_t> data);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ktlsim::tls
