// Clients' certificates as a directory maps them: made by OpenSSL here, and by `openssl` itself,
// which also says what is in them.
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "kernel_sim/accounts/certificate_facts.h"
#include "tests/accounts/accounts_test_support.h"
#include "tests/accounts/certificate_maker.h"
#include "tests/support/temporary_folder.h"
#include "tests/system/child_process.h"

namespace ktlsim::accounts {
namespace {

using security::MappingOutcome;
using system_tests::RunProgram;
using test::CertificateMaker;
using test::Service;

std::string Openssl(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"openssl"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const system_tests::Finished finished = RunProgram(all);
  EXPECT_EQ(finished.code, 0) << finished.output;
  return finished.output;
}

std::vector<std::uint8_t> BytesOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

MappingOutcome Map(const Service& service, std::span<const std::uint8_t> leaf,
                   const std::vector<security::KeyId>& issuers, security::TokenStateRef* state) {
  DirectoryMapper mapper(service.get());
  const security::ClientFacts facts = {.client =
                                           security::TlsClient{.leaf = leaf, .issuers = issuers}};
  const auto mapping = mapper.Map(facts);
  *state = mapping->token() != nullptr ? mapping->token()->state() : nullptr;
  return mapping->outcome();
}

// The folder of an authority of `openssl`, and what it issues.
class OpensslAuthority {
 public:
  OpensslAuthority() {
    Openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", folder_.File("ca.key"), "-out", folder_.File("ca.pem"), "-subj",
             "/O=Test/CN=Authority", "-days", "2"});
  }
  void Issue(const std::string& name, const std::string& names) {
    const std::string config = folder_.Write(name + ".cnf", "subjectAltName=" + names + "\n");
    Openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
             folder_.File("key"), "-out", folder_.File("csr"), "-subj", "/CN=" + name});
    Openssl({"x509", "-req", "-in", folder_.File("csr"), "-CA", folder_.File("ca.pem"), "-CAkey",
             folder_.File("ca.key"), "-set_serial", "0x00c0ffee", "-days", "1", "-extfile", config,
             "-out", folder_.File(name)});
  }
  std::vector<std::uint8_t> Der(const std::string& name) const {
    Openssl({"x509", "-in", folder_.File(name), "-outform", "DER", "-out", folder_.File("der")});
    return BytesOf(folder_.File("der"));
  }
  // As README.md of accounts/ tells an operator to do it.
  std::string KeyDigits(const std::string& name) const {
    Openssl({"x509", "-in", folder_.File(name), "-noout", "-pubkey", "-out", folder_.File("p")});
    Openssl(
        {"pkey", "-pubin", "-in", folder_.File("p"), "-outform", "DER", "-out", folder_.File("d")});
    return Openssl({"dgst", "-sha256", "-r", folder_.File("d")}).substr(0, 64);
  }
  std::string Show(const std::string& name, const std::vector<std::string>& what) const {
    std::vector<std::string> arguments = {"x509", "-in", folder_.File(name), "-noout"};
    arguments.insert(arguments.end(), what.begin(), what.end());
    return Openssl(arguments);
  }

 private:
  ktlsim::test::TemporaryFolder folder_;
};

TEST(OpensslCertificateTest, IsReadAsOpensslShowsIt) {
  OpensslAuthority authority;
  authority.Issue("alice",
                  "email:Alice@Example.org,DNS:example.org,"
                  "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:Alice@Corp.Example");
  CertificateFacts facts;
  ASSERT_EQ(ReadCertificate(authority.Der("alice"), &facts), CertificateRead::kDone);
  EXPECT_EQ(KeyIdText(facts.key), authority.KeyDigits("alice"));
  EXPECT_EQ(authority.Show("alice", {"-serial"}), "serial=C0FFEE\n");
  EXPECT_EQ(facts.serial, "c0ffee");
  const std::string shown = authority.Show("alice", {"-ext", "subjectAltName"});
  EXPECT_NE(shown.find("email:Alice@Example.org"), std::string::npos) << shown;
  EXPECT_NE(shown.find("Alice@Corp.Example"), std::string::npos) << shown;
  EXPECT_EQ(facts.emails, std::vector<std::string>{"Alice@example.org"});
  EXPECT_EQ(facts.upns, std::vector<std::string>{"alice@corp.example"});
}

TEST(OpensslCertificateTest, EachRuleGivesItsToken) {
  OpensslAuthority authority;
  authority.Issue("upn", "otherName:msUPN;UTF8:alice@corp.example");
  authority.Issue("email", "email:bob@example.org");
  authority.Issue("plain", "DNS:carol.example.org");
  const std::string issuer = "'" + authority.KeyDigits("ca.pem") + "'";
  const std::vector<security::KeyId> issuers = {ParseKeyId(authority.KeyDigits("ca.pem")).value()};
  const std::string accounts = "[[group]]\nname = 'partners'\n[[account]]\nname = 'alice'\n";
  struct Rule {
    std::string text;
    std::string certificate;
    bool group;
  };
  for (const Rule& rule :
       {Rule{"upn = 'ALICE@corp.example'\nissuers = " + issuer, "upn", false},
        Rule{"email = 'bob@EXAMPLE.org'\nissuers = [" + issuer + "]", "email", false},
        Rule{"issuer = " + issuer + "\nserial = 'C0FFEE'", "plain", false},
        Rule{"subject-key = '" + authority.KeyDigits("plain") + "'", "plain", false},
        Rule{"issuer = " + issuer + "\ngroup = 'partners'", "plain", true}}) {
    Service service;
    service.Use(accounts + "[[mapping]]\naccount = 'alice'\n" + rule.text + "\n");
    security::TokenStateRef state;
    ASSERT_EQ(Map(service, authority.Der(rule.certificate), issuers, &state),
              MappingOutcome::kToken)
        << rule.text;
    const DirectorySnapshot snapshot = service->store().snapshot();
    EXPECT_EQ(state->user(), snapshot.directory->accounts()[0].sid.view());
    EXPECT_EQ(state->IndexOf(snapshot.directory->groups()[0].sid).has_value(), rule.group);
    EXPECT_TRUE(state->IndexOf(test::SidOfText("S-1-5-64-14")).has_value());
    EXPECT_FALSE(state->IndexOf(test::SidOfText("S-1-5-64-21")).has_value());
    EXPECT_EQ(std::string_view(state->identity().source.name.data(), 8), "Schannel");
    // From another authority the same certificate would be nobody's, but by its key.
    security::KeyId other = issuers[0];
    other[0] ^= 1U;
    EXPECT_EQ(
        Map(service, authority.Der(rule.certificate), {other}, &state),
        rule.text.starts_with("subject-key") ? MappingOutcome::kToken : MappingOutcome::kNoMatch)
        << rule.text;
  }
}

TEST(CertificateMappingTest, EachOutcomeIsToldAndCounted) {
  CertificateMaker issuer;
  const std::string key = "'" + KeyIdText(issuer.Key()) + "'";
  Service service;
  std::string text;
  for (const char* name : {"alice", "bob", "off"}) {
    text += std::string("[[account]]\nname = '") + name + "'\n" +
            (name == std::string("off") ? "disabled = true\n" : "") + "[[mapping]]\nemail = '" +
            name + "@example.org'\nissuers = " + key + "\naccount = '" + name + "'\n";
  }
  service.Use(text);
  const auto outcome = [&](const CertificateMaker& maker) {
    security::TokenStateRef state;
    return Map(service, maker.Der(), {issuer.Key()}, &state);
  };
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(outcome(CertificateMaker().Email("alice@example.org")), MappingOutcome::kToken);
  EXPECT_EQ(outcome(CertificateMaker().Email("alice@example.org").Email("x@example.org")),
            MappingOutcome::kToken);
  EXPECT_EQ(outcome(CertificateMaker().Email("x@example.org")), MappingOutcome::kNoMatch);
  EXPECT_EQ(outcome(CertificateMaker().Email("alice@example.org").Email("bob@example.org")),
            MappingOutcome::kTwoMatches);
  EXPECT_EQ(outcome(CertificateMaker().Email("off@example.org")), MappingOutcome::kDisabled);
  // One good name beside a hostile one helps nobody.
  EXPECT_EQ(
      outcome(CertificateMaker().Email("alice@example.org").Email("bob@example.org\0.evil.org"sv)),
      MappingOutcome::kNoMatch);
  const MappingStatistics statistics = service->mapping_statistics();
  EXPECT_EQ(statistics.mapped, 2U);
  EXPECT_EQ(statistics.no_match, 2U);
  EXPECT_EQ(statistics.two_matches, 1U);
  EXPECT_EQ(statistics.disabled, 1U);
  EXPECT_EQ(statistics.unreadable, 1U);
  EXPECT_EQ(statistics.failed, 0U);
}

}  // namespace
}  // namespace ktlsim::accounts
