// Fails OpenSSL's n-th allocation of a server handshake, for n = 0, 1, 2, ... until one passes
// clean. Each run must end in a status, leave nothing behind (the leak checker sees to that), and
// not disturb the next one.
//
// An executable of its own, because the allocator must be replaced before OpenSSL is first used.
#include <cstdlib>
#include <limits>

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include "tests/tls/support.h"

namespace ktlsim::tls::test {
namespace {

constexpr long kNever = std::numeric_limits<long>::max();
thread_local long g_allocations_left = kNever;

bool Allowed() {
  if (g_allocations_left == kNever) return true;
  const bool allowed = g_allocations_left > 0;
  --g_allocations_left;
  return allowed;
}

void* Allocate(std::size_t size, const char*, int) {
  return Allowed() ? std::malloc(size) : nullptr;
}
void* Reallocate(void* memory, std::size_t size, const char*, int) {
  return Allowed() ? std::realloc(memory, size) : nullptr;
}
void Free(void* memory, const char*, int) { std::free(memory); }

const bool g_installed = CRYPTO_set_mem_functions(&Allocate, &Reallocate, &Free) == 1;

// True: the server was established. `failed`: the allocation that was to fail has failed.
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
        EXPECT_FALSE(step.failure.ok());
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

INSTANTIATE_TEST_SUITE_P(Versions, OutOfMemoryTest,
                         testing::Values(Version::kTls12, Version::kTls13));

}  // namespace
}  // namespace ktlsim::tls::test
