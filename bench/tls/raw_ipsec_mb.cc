#include "bench/tls/raw_ipsec_mb.h"

#include <intel-ipsec-mb.h>

#include <array>

namespace ktlsim::tls {

struct RawIpsecMb::State {
  alignas(64) gcm_key_data key;
  std::array<std::uint8_t, 16> padding;
  IMB_MGR* manager = nullptr;
  std::size_t key_bytes = 0;
  std::array<std::uint8_t, 12> nonce{};
  std::array<std::uint8_t, 5> aad{};
  std::array<std::uint8_t, 16> tag{};
};

RawIpsecMb::RawIpsecMb(std::span<const std::uint8_t> key) : state_(std::make_unique<State>()) {
  state_->manager = alloc_mb_mgr(0);
  init_mb_mgr_auto(state_->manager, nullptr);
  state_->key_bytes = key.size();
  if (key.size() == 16) {
    IMB_AES128_GCM_PRE(state_->manager, key.data(), &state_->key);
  } else {
    IMB_AES256_GCM_PRE(state_->manager, key.data(), &state_->key);
  }
}

RawIpsecMb::~RawIpsecMb() {
  if (state_ != nullptr) free_mb_mgr(state_->manager);
}

void RawIpsecMb::Seal(std::span<std::uint8_t> data) {
  State& s = *state_;
  gcm_context_data context;
  ++s.nonce[11];
  const auto seal = s.key_bytes == 16 ? s.manager->gcm128_enc : s.manager->gcm256_enc;
  seal(&s.key, &context, data.data(), data.data(), data.size(), s.nonce.data(), s.aad.data(),
       s.aad.size(), s.tag.data(), s.tag.size());
}

void RawIpsecMb::Open(std::span<std::uint8_t> data) {
  State& s = *state_;
  gcm_context_data context;
  ++s.nonce[11];
  const auto open = s.key_bytes == 16 ? s.manager->gcm128_dec : s.manager->gcm256_dec;
  open(&s.key, &context, data.data(), data.data(), data.size(), s.nonce.data(), s.aad.data(),
       s.aad.size(), s.tag.data(), s.tag.size());
}

}  // namespace ktlsim::tls
