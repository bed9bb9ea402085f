// Certificate: a chain in DER, leaf first, and (unless it is a peer's) the private key of the leaf.
//
// Immutable and shared: every endpoint of a credential uses the same object. Reading files and
// parsing is passive-level work; the accessors are for any thread and level.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernel_sim/base/result.h"

struct evp_pkey_st;

namespace ktlsim::tls {

enum class KeyType : std::uint8_t { kEcdsaP256, kRsa2048, kOther };

// Why a peer's certificate does not pass.
enum class CertificateFault : std::uint8_t {
  kNone,
  kOutOfDate,  // expired, or not valid yet: it or an issuer
  kUntrusted,  // the chain does not end in a trust anchor
  kWrongName,
  kRevoked,
  kRevocationUnknown,  // a look-up was requested, and nothing here can do it
  kWrongUsage,
  kOther,
};

class Certificate {
 public:
  using Ptr = std::shared_ptr<const Certificate>;
  using Der = std::vector<std::uint8_t>;

  ~Certificate();
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;

  // `key_pem` empty: a certificate without a key. Failures: nothing to parse, an encrypted key (no
  // passphrase is asked for), a key that is not the leaf's.
  static Result<Ptr> FromPem(std::string_view chain_pem, std::string_view key_pem);
  // `message`, when given, gets the failure with the name of its file.
  static Result<Ptr> FromPemFiles(const std::string& chain_path, const std::string& key_path,
                                  std::string* message = nullptr);
  // A certificate without a key, for example a peer's.
  static Result<Ptr> FromDer(std::span<const std::uint8_t> leaf);
  static Result<Ptr> FromDerChain(std::vector<Der> chain);
  // `name` is a DNS name or an IP literal and goes into the subject alternative name. Valid from a
  // day ago for 397 days. `key_type`: kEcdsaP256 or kRsa2048.
  static Result<Ptr> SelfSigned(std::string_view name, KeyType key_type);

  bool has_private_key() const { return key_ != nullptr; }
  KeyType key_type() const { return key_type_; }
  std::span<const std::uint8_t> leaf() const { return chain_.front(); }
  const std::vector<Der>& chain() const { return chain_; }
  // Seconds since 1970.
  std::int64_t not_before() const { return not_before_; }
  std::int64_t not_after() const { return not_after_; }
  const std::array<std::uint8_t, 20>& sha1_thumbprint() const { return sha1_; }
  // One line each, as "CN = example.org".
  const std::string& subject() const { return subject_; }
  const std::string& issuer() const { return issuer_; }
  // The dNSName entries of the subject alternative name (RFC 5280 4.2.1.6) as they are written; an
  // entry with a NUL in it is left out.
  const std::vector<std::string>& dns_names() const { return dns_names_; }

  // PEM of the chain, and of the key unencrypted (empty without one): for tests and for peers.
  Result<std::string> ChainPem() const;
  Result<std::string> KeyPem() const;

  // Borrowed; nullptr without a key.
  evp_pkey_st* private_key() const { return key_; }

 private:
  Certificate() = default;
  static Result<Ptr> Build(std::vector<Der> chain, evp_pkey_st* key);
  Status ReadLeaf();

  std::vector<Der> chain_;
  evp_pkey_st* key_ = nullptr;
  KeyType key_type_ = KeyType::kOther;
  std::int64_t not_before_ = 0;
  std::int64_t not_after_ = 0;
  std::array<std::uint8_t, 20> sha1_{};
  std::string subject_;
  std::string issuer_;
  std::vector<std::string> dns_names_;
};

}  // namespace ktlsim::tls
