#include "tls/identity/certificate.h"

#include <cstring>
#include <new>
#include <utility>

#include <climits>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "kernel_sim/base/file.h"
#include "kernel_sim/base/memory_watch.h"
#include "tls/openssl_handles.h"

namespace ktlsim::tls {
namespace {

// A chain is a few kilobytes; a file larger than this is something else.
constexpr std::size_t kPemBytesMax = 1 << 20;
constexpr std::size_t kChainLengthMax = 16;

Status Bad(const char* what) {
  ERR_clear_error();
  return {Category::kCrypto, 0, what};
}

Status NoMemory() { return ResourceError("no memory for a certificate"); }

BioPtr ReadOnlyBio(std::string_view text) {
  if (text.size() > kPemBytesMax) return nullptr;
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Result<Certificate::Der> DerOf(X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return Bad("the certificate cannot be encoded");
  Certificate::Der der(static_cast<std::size_t>(size));
  unsigned char* at = der.data();
  i2d_X509(certificate, &at);
  return der;
}

Result<std::vector<Certificate::Der>> ReadChain(std::string_view pem) {
  const BioPtr bio = ReadOnlyBio(pem);
  if (bio == nullptr) return Bad("the certificate text is too long");
  std::vector<Certificate::Der> chain;
  while (true) {
    const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    if (chain.size() == kChainLengthMax) return Bad("the certificate chain is too long");
    auto der = DerOf(certificate.get());
    if (!der) return der.status();
    chain.push_back(std::move(*der));
  }
  // The end of the text shows as "no start line"; anything else is a damaged certificate.
  const bool damaged = ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (damaged) return Bad("a certificate in the chain is damaged");
  if (chain.empty()) return Bad("there is no PEM certificate");
  return chain;
}

// Where memory runs out, OpenSSL reports the end of the text or a damaged certificate.
Result<std::vector<Certificate::Der>> ParseChain(std::string_view pem) {
  return UnlessOutOfMemory(NoMemory(), [pem] { return ReadChain(pem); });
}

// No passphrase is asked for; that the key needs one deserves its own message.
int RefusePassphrase(char*, int, int, void* wanted) {
  *static_cast<bool*>(wanted) = true;
  return -1;
}

Result<PkeyPtr> ReadKey(std::string_view pem) {
  const BioPtr bio = ReadOnlyBio(pem);
  if (bio == nullptr) return Bad("the private key text is too long");
  bool encrypted = false;
  PkeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, &RefusePassphrase, &encrypted));
  if (encrypted) return Bad("the private key is encrypted: decrypt it first (openssl pkey)");
  if (key == nullptr) return Bad("there is no readable PEM private key");
  return key;
}

Result<PkeyPtr> ParseKey(std::string_view pem) {
  return UnlessOutOfMemory(NoMemory(), [pem] { return ReadKey(pem); });
}

std::int64_t UnixTime(const ASN1_TIME* time) {
  int days = 0;
  int seconds = 0;
  using Asn1TimePtr = std::unique_ptr<ASN1_TIME, Deleter<&ASN1_TIME_free>>;
  const Asn1TimePtr epoch(ASN1_TIME_set(nullptr, 0));
  if (epoch == nullptr || ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
  return std::int64_t{days} * 86400 + seconds;
}

std::string OneLine(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE) < 0) return {};
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

std::vector<std::string> DnsNames(const X509* certificate) {
  std::vector<std::string> names;
  using NamesPtr = std::unique_ptr<GENERAL_NAMES, Deleter<&GENERAL_NAMES_free>>;
  const NamesPtr found(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; i < sk_GENERAL_NAME_num(found.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(found.get(), i);
    if (name->type != GEN_DNS) continue;
    std::string text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                     static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    if (text.find('\0') == std::string::npos) names.push_back(std::move(text));
  }
  return names;
}

KeyType TypeOf(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) == 2048) return KeyType::kRsa2048;
  char group[32] = {};
  if (EVP_PKEY_is_a(key, "EC") == 1 &&
      EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
      std::strcmp(group, "prime256v1") == 0) {
    return KeyType::kEcdsaP256;
  }
  return KeyType::kOther;
}

template <typename Write>
Result<std::string> PemText(Write write) {
  const MemoryWatch watch;
  const BioPtr bio(BIO_new(BIO_s_mem()));
  const bool written = bio != nullptr && write(bio.get());
  if (watch.ran_out()) {
    ERR_clear_error();
    return NoMemory();
  }
  if (!written) return Bad("the certificate cannot be written as PEM");
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  try {
    return std::string(text, static_cast<std::size_t>(size));
  } catch (const std::bad_alloc&) {
    return NoMemory();
  }
}

X509Ptr ParseDer(std::span<const std::uint8_t> der) {
  const unsigned char* at = der.data();
  if (der.size() > LONG_MAX) return nullptr;
  X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate != nullptr && at != der.data() + der.size()) certificate.reset();
  return certificate;
}

}  // namespace

Certificate::~Certificate() { EVP_PKEY_free(key_); }

Result<Certificate::Ptr> Certificate::Build(std::vector<Der> chain, evp_pkey_st* key) {
  PkeyPtr owned_key(key);
  std::unique_ptr<Certificate> certificate(new Certificate);
  certificate->chain_ = std::move(chain);
  certificate->key_ = owned_key.release();
  // Without memory a certificate has no names, or no dates.
  const Status status =
      UnlessOutOfMemory(NoMemory(), [&certificate] { return certificate->ReadLeaf(); });
  if (!status.ok()) return status;
  return Ptr(std::move(certificate));
}

Status Certificate::ReadLeaf() {
  const X509Ptr leaf = ParseDer(chain_.front());
  if (leaf == nullptr) return Bad("the certificate is damaged");
  const EVP_PKEY* public_key = X509_get0_pubkey(leaf.get());
  if (public_key == nullptr) return Bad("the certificate's public key is of no known kind");
  if (key_ != nullptr && X509_check_private_key(leaf.get(), key_) != 1) {
    return Bad("the private key does not belong to the certificate");
  }
  key_type_ = TypeOf(public_key);
  not_before_ = UnixTime(X509_get0_notBefore(leaf.get()));
  not_after_ = UnixTime(X509_get0_notAfter(leaf.get()));
  subject_ = OneLine(X509_get_subject_name(leaf.get()));
  issuer_ = OneLine(X509_get_issuer_name(leaf.get()));
  dns_names_ = DnsNames(leaf.get());
  if (X509_digest(leaf.get(), EVP_sha1(), sha1_.data(), nullptr) != 1) {
    return Bad("the certificate cannot be hashed");
  }
  ERR_clear_error();
  return {};
}

Result<Certificate::Ptr> Certificate::FromPem(std::string_view chain_pem,
                                              std::string_view key_pem) {
  try {
    auto chain = ParseChain(chain_pem);
    if (!chain) return chain.status();
    if (key_pem.empty()) return Build(std::move(*chain), nullptr);
    auto key = ParseKey(key_pem);
    if (!key) return key.status();
    return Build(std::move(*chain), key->release());
  } catch (const std::bad_alloc&) {
    return NoMemory();
  }
}

Result<Certificate::Ptr> Certificate::FromPemFiles(const std::string& chain_path,
                                                   const std::string& key_path,
                                                   std::string* message) {
  try {
    const auto fail = [message](const std::string& path, Status status) -> Status {
      if (message != nullptr) *message = path + ": " + status.ToString();
      return status;
    };
    const Result<FileText> chain = ReadFile(chain_path.c_str(), kPemBytesMax);
    if (!chain) return fail(chain_path, chain.status());
    const Result<FileText> key = ReadFile(key_path.c_str(), kPemBytesMax);
    if (!key) return fail(key_path, key.status());
    if (auto parsed = ParseChain(chain->text()); !parsed) return fail(chain_path, parsed.status());
    auto result = FromPem(chain->text(), key->text());
    // The chain by itself is good: only the key can still be wrong.
    if (!result) return fail(key_path, result.status());
    return result;
  } catch (const std::bad_alloc&) {
    return NoMemory();
  }
}

Result<Certificate::Ptr> Certificate::FromDer(std::span<const std::uint8_t> leaf) {
  try {
    return FromDerChain({Der(leaf.begin(), leaf.end())});
  } catch (const std::bad_alloc&) {
    return NoMemory();
  }
}

Result<Certificate::Ptr> Certificate::FromDerChain(std::vector<Der> chain) {
  if (chain.empty()) return Bad("there is no certificate");
  try {
    return Build(std::move(chain), nullptr);
  } catch (const std::bad_alloc&) {
    return NoMemory();
  }
}

Result<std::string> Certificate::ChainPem() const {
  return PemText([this](BIO* bio) {
    for (const Der& der : chain_) {
      const X509Ptr certificate = ParseDer(der);
      if (certificate == nullptr || PEM_write_bio_X509(bio, certificate.get()) != 1) return false;
    }
    return true;
  });
}

Result<std::string> Certificate::KeyPem() const {
  return PemText([this](BIO* bio) {
    return key_ == nullptr ||
           PEM_write_bio_PrivateKey(bio, key_, nullptr, nullptr, 0, nullptr, nullptr) == 1;
  });
}

}  // namespace ktlsim::tls
