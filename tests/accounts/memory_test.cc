// What accounts/ does when there is no memory: a status, and nothing left behind.
#include <functional>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "kernel_sim/accounts/directory_builder.h"
#include "tests/accounts/accounts_test_support.h"
#include "tests/accounts/certificate_maker.h"
#include "tests/support/allocation_faults.h"

namespace ktlsim::accounts {
namespace {

using ktlsim::test::AllocationFaults;
using ktlsim::test::FaultExtent;
using security::MappingOutcome;
using test::CertificateMaker;
using test::Service;

// Fails each allocation of `work` once; how many failures it could not do without.
int Sweep(const std::function<bool()>& work) {
  int failed = 0;
  for (std::uint64_t n = 0; n < 20000; ++n) {
    AllocationFaults::Prepare(n, FaultExtent::kOne);
    bool good = false;
    {
      const AllocationFaults::Scope scope;
      good = work();
    }
    if (!AllocationFaults::Fired()) {
      EXPECT_TRUE(good);
      return failed;
    }
    if (!good) ++failed;
  }
  ADD_FAILURE() << "there is no end";
  return failed;
}

// `work` returns false when it fails, or manages without; it leaves nothing behind, and succeeds
// afterwards.
void FailEachAllocation(const std::function<bool()>& work) {
  ASSERT_TRUE(work());
  // OpenSSL keeps the memory of the first messages in each thread's queue of errors, and the C++
  // runtime that of the first exception.
  EXPECT_GT(Sweep(work), 0) << "nothing was allocated";
  EXPECT_GT(Sweep(work), 0);
  const std::int64_t before = AllocationFaults::LiveBlocks();
  EXPECT_GT(Sweep(work), 0);
  EXPECT_EQ(AllocationFaults::LiveBlocks(), before);
}

std::string SomeDirectory(const security::KeyId& issuer) {
  const std::string key = "'" + KeyIdText(issuer) + "'";
  return "domain = 'EXAMPLE'\n[[group]]\nname = 'staff'\n[[account]]\nname = 'alice'\n"
         "groups = ['staff']\npassword = '" +
         test::CheapHash("secret") +
         "'\ndigest = 'alice:staff:00112233445566778899aabbccddeeff'\n"
         "[[mapping]]\nemail = 'alice@example.org'\nissuers = " +
         key + "\naccount = 'alice'\n[[mapping]]\nissuer = " + key + "\ngroup = 'staff'\n";
}

// The TOML library itself ends the process when it has no memory.
TEST(AccountsMemoryTest, MakingADirectory) {
  const toml::table table = toml::parse(SomeDirectory({}));
  FailEachAllocation([&] {
    try {
      DirectoryBuilder builder("d.toml");
      return builder.Build(table) != nullptr;
    } catch (const std::bad_alloc&) {
      return false;
    }
  });
}

TEST(AccountsMemoryTest, MappingACertificate) {
  CertificateMaker issuer;
  CertificateMaker client;
  client.Email("alice@example.org").Upn("alice@example.org");
  const std::vector<std::uint8_t> leaf = client.Der();
  const std::vector<security::KeyId> issuers = {issuer.Key()};
  Service service;
  service.Use(SomeDirectory(issuer.Key()));
  DirectoryMapper mapper(service.get());
  FailEachAllocation([&] {
    const auto mapping =
        mapper.Map({.client = security::TlsClient{.leaf = leaf, .issuers = issuers}});
    if (mapping == nullptr) return false;
    const MappingOutcome outcome = mapping->outcome();
    EXPECT_TRUE(outcome == MappingOutcome::kToken || outcome == MappingOutcome::kNoMemory)
        << static_cast<int>(outcome) << "\n"
        << AllocationFaults::Where();
    return outcome == MappingOutcome::kToken;
  });
  EXPECT_EQ(service->sessions().statistics().live, 0U);
}

// The service ends with each try, so that its threads have freed what they had.
TEST(AccountsMemoryTest, LoggingOn) {
  const auto directory = test::DirectoryOf(SomeDirectory({}));
  FailEachAllocation([&] {
    try {
      Service service;
      service->store().Use(directory);
      security::Token::Ref token;
      const LogonFault fault = service.LogOn("alice", "secret", LogonType::kInteractive, &token);
      EXPECT_TRUE(fault == LogonFault::kNone || fault == LogonFault::kNoMemory ||
                  fault == LogonFault::kNoSystemResources)
          << static_cast<int>(fault) << "\n"
          << AllocationFaults::Where();
      token.reset();
      EXPECT_EQ(service->sessions().statistics().live, 0U);
      return fault == LogonFault::kNone;
    } catch (const std::bad_alloc&) {
      return false;
    }
  });
}

}  // namespace
}  // namespace ktlsim::accounts
