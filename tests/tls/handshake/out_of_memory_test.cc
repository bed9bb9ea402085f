// Fails OpenSSL's n-th allocation of a server handshake, for n = 0, 1, 2, ... until a run passes
// without a failure. Each run must end in a status, leak nothing (the leak checker sees that), and
// not disturb the next one.
//
// An executable of its own, because the allocator must be replaced before OpenSSL is first used.
// Two ways: every allocation from the n-th on fails, or the n-th alone, after which a program may
// go on with half of what it wanted.
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

constexpr long kNever = std::numeric_limits<long>::max();
thread_local long g_allocations_left = kNever;
thread_local bool g_only_one = false;

bool Allowed() {
  if (g_allocations_left == kNever) return true;
  const bool allowed = g_allocations_left > 0 || (g_only_one && g_allocations_left < 0);
  --g_allocations_left;
  return allowed;
}

// As in the C library's own, errno is set.
void* Fail() {
  errno = ENOMEM;
  return nullptr;
}
void* Allocate(std::size_t size, const char*, int) {
  return Allowed() ? std::malloc(size) : Fail();
}
void* Reallocate(void* memory, std::size_t size, const char*, int) {
  return Allowed() ? std::realloc(memory, size) : Fail();
}
void Free(void* memory, const char*, int) { std::free(memory); }

const bool g_installed = CRYPTO_set_mem_functions(&Allocate, &Reallocate, &Free) == 1;

// True: the server was established. `failed`: the chosen allocation has failed.
bool ServeOnce(Endpoint& endpoint, OurSide& client, long allocations, bool& failed) {
  client.Advance();
  g_allocations_left = allocations;
  bool established = false;
  {
    auto server = Handshake::Create(endpoint, {});
    for (int round = 0; server != nullptr && round < 6; ++round) {
      const StepResult step = server->Step(client.outbox);
      const long left = g_allocations_left;
      g_allocations_left = kNever;
      client.outbox.clear();
      const auto output = server->pending_output();
      client.inbox.insert(client.inbox.end(), output.begin(), output.end());
      server->DiscardOutput(output.size());
      if (client.handshake != nullptr && client.last.outcome != StepOutcome::kFailed) {
        client.Advance();
      }
      g_allocations_left = left;
      if (step.outcome == StepOutcome::kFailed) {
        EXPECT_EQ(step.failure.category(), Category::kResource) << step.failure.ToString();
        break;
      }
      if (step.outcome == StepOutcome::kEstablished) {
        established = server->TakeOver().ok();
        break;
      }
    }
  }
  failed = g_allocations_left < 0;
  g_allocations_left = kNever;
  return established;
}

class OutOfMemoryTest : public testing::TestWithParam<Version> {};

TEST_P(OutOfMemoryTest, EveryAllocationOfAServerMayFail) {
  ASSERT_TRUE(g_installed);
  EndpointOptions options;
  options.versions = Only(GetParam());
  const auto client_endpoint = MakeClient(options);
  const auto server_endpoint = MakeServer(options);
  bool failed = false;
  {
    OurSide client(client_endpoint);
    ASSERT_TRUE(ServeOnce(*server_endpoint, client, kNever, failed)) << "warm up";
  }
  constexpr long kRunsMax = 5000;
  long n = 0;
  for (; n < kRunsMax; ++n) {
    SCOPED_TRACE(n);
    OurSide client(client_endpoint);
    const bool established = ServeOnce(*server_endpoint, client, n, failed);
    if (!failed) {
      EXPECT_TRUE(established);
      break;
    }
  }
  EXPECT_GT(n, 100);
  EXPECT_LT(n, kRunsMax);
}

// The result of a client's handshake.
struct ClientRun {
  bool established = false;
  bool failed_allocation = false;
  bool created = false;
  StepResult last;
};

ClientRun ConnectOnce(Endpoint& endpoint, OurSide& server, const HandshakeOptions& options,
                      long allocations) {
  ClientRun run;
  g_allocations_left = allocations;
  auto client = Handshake::Create(endpoint, options);
  run.created = client != nullptr;
  for (int round = 0; client != nullptr && round < 6; ++round) {
    run.last = client->Step(server.outbox);
    const long left = std::exchange(g_allocations_left, kNever);
    server.outbox.clear();
    const auto output = client->pending_output();
    server.inbox.insert(server.inbox.end(), output.begin(), output.end());
    client->DiscardOutput(output.size());
    if (run.last.outcome == StepOutcome::kEstablished) {
      run.established = true;
      g_allocations_left = left;
      break;
    }
    if (server.handshake != nullptr) server.Advance();
    g_allocations_left = left;
    if (run.last.outcome == StepOutcome::kFailed) break;
  }
  run.failed_allocation = g_allocations_left < 0;
  g_allocations_left = kNever;
  return run;
}

// Faults with which a certificate must never pass, however memory fails.
struct Wrong {
  const char* name;
  const char* target;
  bool expired;
};

class NothingFailsOpenTest : public testing::TestWithParam<std::tuple<Version, bool, Wrong>> {};

TEST_P(NothingFailsOpenTest, InAClient) {
  const auto& [version, only_one, wrong] = GetParam();
  EndpointOptions options;
  options.versions = Only(version);
  const auto server_endpoint = MakeServer(options);
  options.verification = PeerVerification::kRequired;
  options.trust_pem = EcdsaCertificate()->ChainPem().value();
  if (wrong.expired) options.verification_time = EcdsaCertificate()->not_after() + 1;
  const auto client_endpoint = MakeClient(options);
  HandshakeOptions target;
  target.target_name = wrong.target;
  {
    OurSide server(server_endpoint);
    EXPECT_FALSE(ConnectOnce(*client_endpoint, server, target, kNever).established) << "warm up";
  }
  g_only_one = only_one;
  constexpr long kRunsMax = 5000;
  long n = 0;
  long shortages = 0;
  for (; n < kRunsMax; ++n) {
    SCOPED_TRACE(n);
    OurSide server(server_endpoint);
    const ClientRun run = ConnectOnce(*client_endpoint, server, target, n);
    EXPECT_FALSE(run.established);
    if (!run.failed_allocation) {
      EXPECT_NE(run.last.certificate_fault, CertificateFault::kNone);
      break;
    }
    const bool shortage = !run.created || run.last.failure.category() == Category::kResource;
    // A shortage that OpenSSL can do without does not hide the verdict; any other is reported as a
    // shortage.
    EXPECT_NE(shortage, run.last.certificate_fault != CertificateFault::kNone)
        << run.last.failure.ToString();
    if (shortage) ++shortages;
  }
  g_only_one = false;
  EXPECT_GT(n, 100);
  EXPECT_LT(n, kRunsMax);
  EXPECT_GT(shortages, 100) << "of " << n;
}

constexpr Wrong kOtherName{"Name", "other.test", false};
constexpr Wrong kAddress{"Address", "192.0.2.7", false};
constexpr Wrong kTime{"Time", kName, true};

INSTANTIATE_TEST_SUITE_P(Ways, NothingFailsOpenTest,
                         testing::Values(std::tuple(Version::kTls12, true, kOtherName),
                                         std::tuple(Version::kTls12, false, kOtherName),
                                         std::tuple(Version::kTls13, true, kOtherName),
                                         std::tuple(Version::kTls12, true, kAddress),
                                         std::tuple(Version::kTls12, true, kTime)),
                         [](const auto& test) {
                           const Wrong& wrong = std::get<2>(test.param);
                           return std::string(wrong.name) +
                                  (std::get<0>(test.param) == Version::kTls12 ? "Tls12" : "Tls13") +
                                  (std::get<1>(test.param) ? "OneAllocation" : "AllAllocations");
                         });

// Credentials, too, are made of OpenSSL's objects.
TEST(EndpointMemoryTest, EveryAllocationMayFail) {
  for (const bool only_one : {false, true}) {
    EndpointOptions options;
    options.certificates = {EcdsaCertificate()};
    options.verification = PeerVerification::kIfPresented;
    options.trust_pem =
        EcdsaCertificate()->ChainPem().value() + RsaCertificate()->ChainPem().value();
    ASSERT_TRUE(Endpoint::Create(options).ok()) << "warm up";
    g_only_one = only_one;
    bool failed = true;
    // There are many allocations, and the later ones are much alike.
    for (long n = 0; failed; n += 1 + n / 200) {
      SCOPED_TRACE(n);
      ASSERT_LT(n, 50'000);
      g_allocations_left = n;
      const auto endpoint = Endpoint::Create(options);
      failed = std::exchange(g_allocations_left, kNever) < 0;
      if (!endpoint.ok()) {
        EXPECT_TRUE(failed);
        EXPECT_EQ(endpoint.status().category(), Category::kResource)
            << endpoint.status().ToString();
      }
    }
    g_only_one = false;
  }
}

TEST(CertificateMemoryTest, EveryAllocationMayFail) {
  const std::string chain = EcdsaCertificate()->ChainPem().value();
  const std::string key = EcdsaCertificate()->KeyPem().value();
  for (const bool only_one : {false, true}) {
    ASSERT_TRUE(Certificate::FromPem(chain, key).ok());
    g_only_one = only_one;
    bool failed = true;
    // There are many allocations, and the later ones are much alike.
    for (long n = 0; failed; n += 1 + n / 200) {
      SCOPED_TRACE(n);
      ASSERT_LT(n, 50'000);
      g_allocations_left = n;
      auto certificate = Certificate::FromPem(chain, key);
      failed = std::exchange(g_allocations_left, kNever) < 0;
      if (certificate.ok()) {
        EXPECT_EQ((*certificate)->subject(), EcdsaCertificate()->subject());
        EXPECT_EQ((*certificate)->issuer(), EcdsaCertificate()->issuer());
        EXPECT_EQ((*certificate)->dns_names(), EcdsaCertificate()->dns_names());
        EXPECT_EQ((*certificate)->not_after(), EcdsaCertificate()->not_after());
        EXPECT_EQ((*certificate)->key_type(), KeyType::kEcdsaP256);
      } else {
        EXPECT_TRUE(failed);
        EXPECT_EQ(certificate.status().category(), Category::kResource)
            << certificate.status().ToString();
      }
    }
    g_only_one = false;
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, OutOfMemoryTest,
                         testing::Values(Version::kTls12, Version::kTls13));

}  // namespace
}  // namespace ktlsim::tls::test
