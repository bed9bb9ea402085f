#include "tls/record/aead_ipsec_mb.h"

#include <intel-ipsec-mb.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <new>

#include <openssl/crypto.h>

#include "tls/record/secret.h"

namespace ktlsim::tls {
namespace {

// The direct functions of one key length. They keep no state besides what they are handed, so one
// table serves all threads and the library's manager, which is bound to a thread, is not kept.
struct Gcm {
  aes_gcm_pre_t expand = nullptr;
  aes_gcm_enc_dec_t seal = nullptr;
  aes_gcm_enc_dec_t open = nullptr;
  aes_gcm_init_t init = nullptr;
  aes_gcm_enc_dec_update_t seal_update = nullptr;
  aes_gcm_enc_dec_finalize_t seal_finalize = nullptr;
};

struct Library {
  IpsecMbProbe probe;
  Gcm aes128;
  Gcm aes256;
  std::array<char, 80> text{};
};

const char* ArchitectureName(IMB_ARCH architecture, std::uint64_t features) {
  switch (architecture) {
    case IMB_ARCH_SSE:
      return "SSE";
    case IMB_ARCH_AVX:
      return "AVX";
    case IMB_ARCH_AVX2:
      return "AVX2";
    case IMB_ARCH_AVX512:
      return (features & IMB_FEATURE_VAES) != 0 ? "AVX512 with VAES" : "AVX512 without VAES";
    case IMB_ARCH_NONE:
    case IMB_ARCH_NOAESNI:
    case IMB_ARCH_NUM:
      break;
  }
  return nullptr;
}

void ReadFunctions(const IMB_MGR& manager, Library& library) {
  library.aes128 = {manager.gcm128_pre,  manager.gcm128_enc,        manager.gcm128_dec,
                    manager.gcm128_init, manager.gcm128_enc_update, manager.gcm128_enc_finalize};
  library.aes256 = {manager.gcm256_pre,  manager.gcm256_enc,        manager.gcm256_dec,
                    manager.gcm256_init, manager.gcm256_enc_update, manager.gcm256_enc_finalize};
}

Library Load() {
  Library library;
  IMB_MGR* manager = alloc_mb_mgr(0);
  if (manager == nullptr) {
    library.probe.description = "ipsec-mb found no memory";
    return library;
  }
  IMB_ARCH architecture = IMB_ARCH_NONE;
  init_mb_mgr_auto(manager, &architecture);
  const std::uint64_t features = manager->features;
  const char* name = ArchitectureName(architecture, features);
  const bool sound = imb_get_errno(manager) == 0 && ((features & IMB_FEATURE_SELF_TEST) == 0 ||
                                                     (features & IMB_FEATURE_SELF_TEST_PASS) != 0);
  if (name == nullptr) {
    library.probe.description = "ipsec-mb needs a processor with AES instructions";
  } else if (!sound) {
    library.probe.description = "ipsec-mb failed its own test";
  } else {
    ReadFunctions(*manager, library);
    std::snprintf(library.text.data(), library.text.size(), "ipsec-mb %s, %s",
                  imb_get_version_str(), name);
    library.probe.usable = true;
  }
  free_mb_mgr(manager);
  return library;
}

const Library& LoadedLibrary() {
  static const Library library = [] {
    static Library loaded = Load();
    if (loaded.probe.usable) loaded.probe.description = loaded.text.data();
    return loaded;
  }();
  return library;
}

bool Touch(std::span<const std::byte> data, std::span<const std::byte> tail) {
  return data.empty() || tail.empty() || data.data() + data.size() == tail.data();
}

class IpsecMbAead final : public Aead {
 public:
  IpsecMbAead(const Gcm& gcm, std::size_t key_bytes) : gcm_(gcm), key_bytes_(key_bytes) {}
  ~IpsecMbAead() override { IpsecMbAead::ClearKey(); }
  IpsecMbAead(const IpsecMbAead&) = delete;
  IpsecMbAead& operator=(const IpsecMbAead&) = delete;

  bool Seal(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<std::byte> tail,
            std::span<std::byte, kAeadTagBytes> tag) override {
    gcm_context_data state;
    if (Touch(data, tail)) {
      std::uint8_t* bytes = Raw(data.empty() ? tail : data);
      gcm_.seal(&key_, &state, bytes, bytes, data.size() + tail.size(), nonce.data(), aad.data(),
                aad.size(), Raw(tag), tag.size());
    } else {
      gcm_.init(&key_, &state, nonce.data(), aad.data(), aad.size());
      gcm_.seal_update(&key_, &state, Raw(data), Raw(data), data.size());
      gcm_.seal_update(&key_, &state, Raw(tail), Raw(tail), tail.size());
      gcm_.seal_finalize(&key_, &state, Raw(tag), tag.size());
    }
    Wipe(state);
    return true;
  }

  bool Open(std::span<const std::uint8_t, kAeadNonceBytes> nonce, std::span<const std::uint8_t> aad,
            std::span<std::byte> data, std::span<const std::byte, kAeadTagBytes> tag) override {
    gcm_context_data state;
    std::array<std::uint8_t, kAeadTagBytes> computed;
    gcm_.open(&key_, &state, Raw(data), Raw(data), data.size(), nonce.data(), aad.data(),
              aad.size(), computed.data(), computed.size());
    Wipe(state);
    if (CRYPTO_memcmp(computed.data(), tag.data(), computed.size()) == 0) return true;
    tls::Wipe(data);  // decrypted before the tag was known to fit
    // The right tag would let the peer forge a record, so it is wiped.
    tls::Wipe(std::span<std::uint8_t>(computed));
    return false;
  }

  bool SetKey(std::span<const std::uint8_t> key) override {
    if (key.size() != key_bytes_) return false;
    gcm_.expand(key.data(), &key_);
    return true;
  }

  void ClearKey() override { OPENSSL_cleanse(&key_, sizeof key_); }

 private:
  static std::uint8_t* Raw(std::span<std::byte> bytes) {
    return reinterpret_cast<std::uint8_t*>(bytes.data());
  }
  // Holds a block of key stream. Inline, because a call would cost a short record a tenth; the
  // barrier keeps the store.
  static void Wipe(gcm_context_data& state) {
    std::memset(&state.partial_block_enc_key, 0, sizeof state.partial_block_enc_key);
    asm volatile("" : : "r"(&state) : "memory");
  }

  // The library's header asks for no alignment unless built its way; its code wants 64, and the
  // 16 bytes past the structure's end belong to the structure there.
  alignas(64) gcm_key_data key_{};
  [[maybe_unused]] std::array<std::uint8_t, 16> padding_{};
  const Gcm& gcm_;
  const std::size_t key_bytes_;
};

}  // namespace

const IpsecMbProbe& ProbeIpsecMb() { return LoadedLibrary().probe; }

std::unique_ptr<Aead> CreateIpsecMbAead(AeadId aead, std::span<const std::uint8_t> key) {
  if (aead == AeadId::kChaCha20Poly1305) return CreateEvpAead(aead, key);
  const Library& library = LoadedLibrary();
  if (!library.probe.usable) return nullptr;
  const bool aes128 = aead == AeadId::kAes128Gcm;
  std::unique_ptr<Aead> made(new (std::nothrow) IpsecMbAead(
      aes128 ? library.aes128 : library.aes256, aes128 ? std::size_t{16} : std::size_t{32}));
  if (made == nullptr || !made->SetKey(key)) return nullptr;
  return made;
}

}  // namespace ktlsim::tls
