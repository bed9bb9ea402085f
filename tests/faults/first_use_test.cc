// First use with failing allocations, in a process of its own each: a status, and the next call
// works.
#include <ktlsim/processor.h>
#include <ktlsim/sspi_ext.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "tests/faults/ends.h"

namespace ktlsim::test {
namespace {

// ---- First use, in a process of its own each ----------------------------------------------------

struct FirstCall {
  const char* name;
  SECURITY_STATUS (*call)();
};

SECURITY_STATUS CreateContext() {
  SspiAsyncContext* made = SspiCreateAsyncContext();
  SspiFreeAsyncContext(made);
  return made != nullptr ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}
SECURITY_STATUS CreateCertificate() {
  PCCERT_CONTEXT made = nullptr;
  const SECURITY_STATUS status =
      KtlsimCreateSelfSignedCertificate("localhost", KTLSIM_KEY_ECDSA_P256, &made);
  CertFreeCertificateContext(made);
  return status;
}
SECURITY_STATUS RefuseCertificate() {
  PCCERT_CONTEXT made = nullptr;
  const SECURITY_STATUS status = KtlsimLoadCertificate("/nonexistent", "/nonexistent", &made);
  if (KtlsimLastErrorText() == nullptr) return SEC_E_INTERNAL_ERROR;
  return status == SEC_E_UNKNOWN_CREDENTIALS ? SEC_E_OK : status;
}
SECURITY_STATUS Acquire() {
  CredHandle handle{};
  char name[] = UNISP_NAME_A;
  SCH_CREDENTIALS credentials{};
  credentials.dwVersion = SCH_CREDENTIALS_VERSION;
  credentials.dwFlags = SCH_CRED_MANUAL_CRED_VALIDATION;
  const SECURITY_STATUS status =
      AcquireCredentialsHandleA(nullptr, name, SECPKG_CRED_OUTBOUND, nullptr, &credentials, nullptr,
                                nullptr, &handle, nullptr);
  if (status == SEC_E_OK) FreeCredentialsHandle(&handle);
  return status;
}
SECURITY_STATUS Start() { return KtlsimStart(nullptr); }
SECURITY_STATUS RefuseStart() {
  KtlsimOptions options{};
  const SECURITY_STATUS status = KtlsimStart(&options);
  return status == SEC_E_INVALID_PARAMETER ? SEC_E_OK : status;
}
SECURITY_STATUS Enumerate() {
  ULONG count = 0;
  PSecPkgInfoA packages = nullptr;
  const SECURITY_STATUS status = EnumerateSecurityPackagesA(&count, &packages);
  FreeContextBuffer(packages);
  return status;
}
SECURITY_STATUS AskStatistics() {
  KtlsimStatistics statistics{};
  statistics.cbSize = sizeof(statistics);
  return KtlsimQueryStatistics(&statistics);
}
SECURITY_STATUS Visit() {
  return KtlsimForEachProcessor([](void*, const KtlsimProcessor*) {}, nullptr);
}
SECURITY_STATUS Misuse() {
  return DeleteSecurityContext(nullptr) == SEC_E_INVALID_HANDLE ? SEC_E_OK
                                                                : SEC_E_INSUFFICIENT_MEMORY;
}
SECURITY_STATUS Forget() {
  char name[] = "localhost";
  return SslEmptyCacheA(name, 0) == TRUE ? SEC_E_OK : SEC_E_INSUFFICIENT_MEMORY;
}

constexpr std::array kFirstCalls = {
    FirstCall{"CreateContext", &CreateContext},
    FirstCall{"CreateCertificate", &CreateCertificate},
    FirstCall{"RefuseCertificate", &RefuseCertificate},
    FirstCall{"Acquire", &Acquire},
    FirstCall{"Start", &Start},
    FirstCall{"RefuseStart", &RefuseStart},
    FirstCall{"Enumerate", &Enumerate},
    FirstCall{"AskStatistics", &AskStatistics},
    FirstCall{"Visit", &Visit},
    FirstCall{"Misuse", &Misuse},
    FirstCall{"Forget", &Forget},
};

constexpr const char* kCallVariable = "KTLSIM_FIRST_CALL";
constexpr const char* kNumberVariable = "KTLSIM_FIRST_FAULT";

// OpenSSL's own initialisation happens once in a process; if it fails, it cannot be repeated. So it
// is done in advance, as by a program that has used OpenSSL before, unless the number says "own".
void UseOpenSsl() {
  const IssuedCertificate root = IssuedCertificate::Root("primer");
  const IssuedCertificate leaf = root.Leaf("localhost");
  for (const SSL_METHOD* method : {TLS_server_method(), TLS_client_method(), TLS_method()}) {
    SSL_CTX* context = SSL_CTX_new(method);
    EXPECT_NE(context, nullptr);
    SSL_CTX_free(context);
  }
  EXPECT_FALSE(leaf.Pem().empty());
}

// The child's part.
TEST(FirstUseChildTest, OneCall) {
  const char* name = std::getenv(kCallVariable);
  const char* number = std::getenv(kNumberVariable);
  if (name == nullptr || number == nullptr) GTEST_SKIP() << "a part of FirstUseFaultsTest";
  const bool own = std::string(number).starts_with("own");
  if (own) {
    number += 3;
  } else {
    UseOpenSsl();
  }
  for (const FirstCall& first : kFirstCalls) {
    if (std::string(first.name) != name) continue;
    const bool later_too = number[0] == '+';
    FaultRun run(std::string("first use: ") + name, std::strtoull(number, nullptr, 10),
                 later_too ? FaultExtent::kFromThenOn : FaultExtent::kOne);
    if (own) {
      run.Returns(SEC_E_OK, name, first.call);
    } else {
      run.ReturnsOrCanBeRetried(SEC_E_OK, name, first.call);
    }
    std::printf("counted %llu\n", static_cast<unsigned long long>(AllocationFaults::Counted()));
  }
  if (own) return;
  // Then all of it works.
  TestCredential server = TestCredential::Server();
  TestCredential client = TestCredential::Client();
  TestEnd client_end(false);
  TestEnd server_end(true);
  EXPECT_TRUE(RunHandshake(client_end, client.get(), server_end, server.get()))
      << "client 0x" << std::hex << client_end.status << ", server 0x" << server_end.status;
}

class FirstUseFaultsTest : public testing::TestWithParam<FirstCall> {
 protected:
  // Takes the child's output; returns its count of allocations.
  std::uint64_t RunChild(const std::string& number) {
    std::array<char, 4096> self{};
    const ssize_t length = readlink("/proc/self/exe", self.data(), self.size() - 1);
    EXPECT_GT(length, 0);
    const std::string command = std::string(kCallVariable) + "=" + GetParam().name + " " +
                                kNumberVariable + "=" + number + " '" + self.data() +
                                "' --gtest_filter=FirstUseChildTest.OneCall 2>&1";
    std::FILE* child = popen(command.c_str(), "r");
    if (child == nullptr) {
      ADD_FAILURE() << "no child process";
      return 0;
    }
    std::string output;
    std::array<char, 4096> block{};
    while (const std::size_t size = std::fread(block.data(), 1, block.size(), child)) {
      output.append(block.data(), size);
    }
    const int status = pclose(child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
        << GetParam().name << ", allocation " << number << ": status " << status << "\n"
        << output;
    const std::size_t at = output.find("counted ");
    return at == std::string::npos ? 0 : std::strtoull(output.c_str() + at + 8, nullptr, 10);
  }
};

TEST_P(FirstUseFaultsTest, EveryAllocationMayFail) {
  const std::uint64_t counted = RunChild("1000000000");
  const std::uint64_t counted_own = RunChild("own1000000000");
  for (const std::uint64_t n : NumbersToFail(counted_own, kSanitized ? 2 : 6)) {
    RunChild("own" + std::to_string(n));
    RunChild("own+" + std::to_string(n));
    if (HasFailure()) return;
  }
  for (const std::uint64_t n : NumbersToFail(counted, kSanitized ? 2 : 6)) {
    RunChild(std::to_string(n));
    RunChild("+" + std::to_string(n));
    if (HasFailure()) return;  // the others would fail in the same way
  }
}

INSTANTIATE_TEST_SUITE_P(Calls, FirstUseFaultsTest, testing::ValuesIn(kFirstCalls),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace ktlsim::test
