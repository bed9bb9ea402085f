// A file of accounts: it is accepted, or the message says where it is wrong. A certificate: its
// names are in a form that is compared, or it is nobody's.
#include <span>
#include <string>
#include <string_view>

#include "kernel_sim/accounts/certificate_facts.h"
#include "kernel_sim/accounts/directory.h"
#include "kernel_sim/accounts/password_hash.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace ktlsim;  // NOLINT(google-build-using-namespace)
using namespace ktlsim::accounts;

void TryDirectory(std::string_view text) {
  std::string error;
  const auto directory = Directory::Parse(text, "fuzz.toml", &error);
  test::Require((directory == nullptr) == !error.empty(), "neither a directory nor a message");
  test::Require(error.find('\n') == std::string::npos, "a message of two lines");
  if (directory == nullptr) return;
  for (const Account& account : directory->accounts()) {
    test::Require(directory->FindByName(account.name) == &account, "an account is not found");
    test::Require(directory->FindBySid(account.sid) == &account, "a SID is another account's");
    test::Require(!account.unix_identity || account.unix_identity->uid != 0, "the superuser");
  }
}

void TryPassword(std::string_view text) {
  PasswordHash hash;
  if (PasswordHash::Parse(text, &hash) != nullptr) return;
  test::Require(hash.cost().memory_kib <= kPasswordMemoryKibMax, "too much memory");
  test::Require(hash.Text() == text, "it is written in another way");
}

void TryCertificate(std::span<const std::uint8_t> der) {
  CertificateFacts facts;
  if (ReadCertificate(der, &facts) != CertificateRead::kDone) return;
  for (const std::string& email : facts.emails) {
    test::Require(IsEmail(email) && FoldEmail(email) == email, "an e-mail in another form");
  }
  for (const std::string& upn : facts.upns) {
    test::Require(IsUpn(upn) && FoldUpn(upn) == upn, "a UPN in another form");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t bytes) {
  const std::string_view text(reinterpret_cast<const char*>(data), bytes);
  TryDirectory(text);
  TryPassword(text);
  TryCertificate({data, bytes});
  return 0;
}
