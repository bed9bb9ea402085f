#include "kernel_sim/command/certificate_facts.h"

#include <arpa/inet.h>

#include <array>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace ktlsim::command {
namespace {

using Leaf = std::unique_ptr<X509, decltype(&X509_free)>;
using Names = std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)>;

std::string Text(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

// Empty: neither an IPv4 nor an IPv6 address.
std::string AddressText(const ASN1_OCTET_STRING* address) {
  const int bytes = ASN1_STRING_length(address);
  if (bytes != 4 && bytes != 16) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(bytes == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(address), text.data(),
            text.size());
  return text.data();
}

std::string CommonName(X509* leaf) {
  X509_NAME* const subject = X509_get_subject_name(leaf);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  return at < 0 ? "" : Text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

std::vector<std::string> NamesOf(X509* leaf) {
  std::vector<std::string> names;
  const Names found(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  for (int i = 0; found != nullptr && i < sk_GENERAL_NAME_num(found.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(found.get(), i);
    std::string text;
    if (name->type == GEN_DNS) text = Text(name->d.dNSName);
    if (name->type == GEN_IPADD) text = AddressText(name->d.iPAddress);
    if (!text.empty()) names.push_back(std::move(text));
  }
  if (!names.empty()) return names;
  if (std::string name = CommonName(leaf); !name.empty()) names.push_back(std::move(name));
  return names;
}

std::string CurveOf(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), nullptr) != 1) return {};
  const char* const name = EC_curve_nid2nist(OBJ_txt2nid(group.data()));
  return name != nullptr ? name : group.data();
}

std::string Sha256(const unsigned char* bytes, std::size_t count) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(bytes, count, digest.data());
  std::string text;
  for (const unsigned byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace

std::optional<CertificateFacts> DescribeCertificate(PCCERT_CONTEXT certificate) {
  if (certificate == nullptr) return {};
  const unsigned char* at = certificate->pbCertEncoded;
  const Leaf leaf(d2i_X509(nullptr, &at, static_cast<long>(certificate->cbCertEncoded)),
                  &X509_free);
  const EVP_PKEY* const key = leaf != nullptr ? X509_get0_pubkey(leaf.get()) : nullptr;
  if (key == nullptr) {
    ERR_clear_error();
    return {};
  }
  CertificateFacts facts;
  const char* const kind = EVP_PKEY_get0_type_name(key);
  facts.kind = kind != nullptr ? kind : "unknown";
  facts.bits = EVP_PKEY_get_bits(key);
  if (facts.kind == "EC") facts.curve = CurveOf(key);
  facts.names = NamesOf(leaf.get());
  facts.sha256 = Sha256(certificate->pbCertEncoded, certificate->cbCertEncoded);
  ERR_clear_error();
  return facts;
}

nlohmann::json CertificateJson(const std::optional<CertificateFacts>& facts) {
  if (!facts) return nullptr;
  return {{"kind", facts->kind},
          {"bits", facts->bits},
          {"curve", facts->curve.empty() ? nlohmann::json() : nlohmann::json(facts->curve)},
          {"names", facts->names},
          {"sha256", facts->sha256}};
}

}  // namespace ktlsim::command
