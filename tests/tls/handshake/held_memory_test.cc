// What OpenSSL holds for one peer in a handshake, counted in its allocator: most of the figure that
// kernel_sim/transport/README.md names.
//
// An executable of its own, because the allocator must be replaced before OpenSSL is first used.
#include <malloc.h>

#include <cstdlib>
#include <vector>

#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include "tests/tls/support.h"
#include "tls/handshake/announced_lengths.h"

namespace ktlsim::tls::test {
namespace {

thread_local std::size_t g_held = 0;

void* Allocate(std::size_t size, const char*, int) {
  void* memory = std::malloc(size);
  g_held += malloc_usable_size(memory);
  return memory;
}
void Free(void* memory, const char*, int) {
  g_held -= malloc_usable_size(memory);
  std::free(memory);
}
void* Reallocate(void* memory, std::size_t size, const char*, int) {
  g_held -= malloc_usable_size(memory);
  void* larger = std::realloc(memory, size);
  g_held += malloc_usable_size(larger != nullptr ? larger : memory);
  return larger;
}

const bool g_installed = CRYPTO_set_mem_functions(&Allocate, &Reallocate, &Free) == 1;

// What a handshake holds after `bytes` of input.
std::size_t HeldAfter(const std::shared_ptr<Endpoint>& endpoint, const Buffer& bytes) {
  const std::size_t before = g_held;
  const auto handshake = Handshake::Create(*endpoint, {});
  static_cast<void>(handshake->Step(bytes));
  return g_held - before;
}

Buffer Announced(std::size_t length) {
  return {std::byte{22},
          std::byte{3},
          std::byte{1},
          std::byte{0},
          std::byte{4},
          std::byte{1},
          static_cast<std::byte>(length >> 16),
          static_cast<std::byte>(length >> 8 & 0xff),
          static_cast<std::byte>(length & 0xff)};
}

constexpr std::size_t kHeldMax = 48 * 1024;

TEST(HeldMemoryTest, ALengthAnnouncedBuysNothing) {
  ASSERT_TRUE(g_installed);
  const auto endpoint = MakeServer();
  HeldAfter(endpoint, Announced(100));
  for (const std::size_t length :
       {std::size_t{1}, std::size_t{517}, AnnouncedLengths::kMessageBytesMax,
        AnnouncedLengths::kMessageBytesMax + 1, std::size_t{131'396}}) {
    EXPECT_LT(HeldAfter(endpoint, Announced(length)), kHeldMax) << length;
  }
}

TEST(HeldMemoryTest, APeerThatWasAnsweredHoldsNoMore) {
  for (const Version version : {Version::kTls12, Version::kTls13}) {
    EndpointOptions options;
    options.versions = Only(version);
    const auto client_endpoint = MakeClient(options);
    const auto server_endpoint = MakeServer(options);
    for (int i = 0; i < 2; ++i) {
      OurSide client(client_endpoint);
      client.Advance();
      const std::size_t held = HeldAfter(server_endpoint, client.outbox);
      if (i == 1) {
        EXPECT_LT(held, kHeldMax);
      }
    }
  }
}

}  // namespace
}  // namespace ktlsim::tls::test
