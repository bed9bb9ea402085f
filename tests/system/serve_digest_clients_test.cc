// `ktlsim serve --digest-realm` and clients that others wrote: curl over each kind of connection,
// wget, Python's urllib and requests.

#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "tests/system/authority.h"
#include "tests/system/child_process.h"
#include "tests/system/load_process.h"
#include "tests/system/serve_digest_scene.h"

namespace ktlsim::system_tests {
namespace {

// ---- curl, by version of TLS and by algorithm

class ServeDigestCurlTest : public ServeDigestTest,
                            public testing::WithParamInterface<std::tuple<const char*, bool>> {
 protected:
  ServeDigestCurlTest() {
    std::vector<std::string> arguments = {
        "--self-signed",  "localhost",  "--respond-bytes", "5",
        "--digest-realm", kDigestRealm, "--digest-users",  users_};
    if (sha256()) arguments.emplace_back("--digest-sha256");
    server_ = std::make_unique<ServeProcess>(arguments);
    Write("upload", std::string(100'000, 'u'));
  }
  void SetUp() override { ASSERT_TRUE(server_->running()) << server_->output(); }

  static bool sha256() { return std::get<1>(GetParam()); }
  // Two transfers in one call of curl, each of which authenticates.
  std::string Twice(std::vector<std::string> more) {
    const std::string version = std::get<0>(GetParam());
    more.insert(more.end(), {"--tlsv" + version, "--tls-max", version, server_->url("/bytes/7"),
                             "-o", "/dev/null", server_->url()});
    return CurlAs("alice:wonder land", more);
  }
  void ExpectToBeServed(const std::vector<std::string>& method) {
    EXPECT_EQ(Twice(method), "200 1;200 0;");
    std::vector<std::string> closing = method;
    closing.insert(closing.end(), {"-H", "Connection: close"});
    EXPECT_EQ(Twice(closing), "200 2;200 2;");
    std::vector<std::string> http10 = method;
    http10.emplace_back("--http1.0");
    EXPECT_EQ(Twice(http10), "200 2;200 2;");
    const nlohmann::json digest = server_->StopCleanly()["digest"];
    EXPECT_EQ(digest["authenticated"], 6) << digest;
    EXPECT_EQ(digest["refused"], 0) << digest;
  }
};

TEST_P(ServeDigestCurlTest, GetsOverKeptAndNewConnections) { ExpectToBeServed({}); }

TEST_P(ServeDigestCurlTest, PostsOverKeptAndNewConnections) {
  ExpectToBeServed({"--data-binary", "@" + folder_.File("upload")});
}

TEST_P(ServeDigestCurlTest, RespondsWithTheAlgorithmThatIsOfferedFirst) {
  const std::string header = Header("alice:wonder land", "/");
  EXPECT_NE(header.find(sha256() ? "algorithm=SHA-256" : "algorithm=MD5"), std::string::npos)
      << header;
  server_->StopCleanly();
}

INSTANTIATE_TEST_SUITE_P(VersionsAndAlgorithms, ServeDigestCurlTest,
                         testing::Combine(testing::Values("1.2", "1.3"), testing::Bool()));

// ---- Clients that know nothing of each other

TEST_F(ServeDigestTest, Wget) {
  if (!Has("wget")) GTEST_SKIP() << "there is no wget here";
  Start();
  const auto wget = [this](const std::string& password) {
    return RunProgram({"wget", "-q", "-O", "-", "--no-check-certificate", "--tries=1", "--user",
                       "alice", "--password", password, server_->url("/private/page"),
                       server_->url("/index.html")});
  };
  EXPECT_EQ(wget("wonder land").output, "pagehome");
  EXPECT_EQ(wget("other").code, 6);
  server_->StopCleanly();
}

TEST_F(ServeDigestTest, PythonUrllib) {
  if (!Has("python3")) GTEST_SKIP() << "there is no python3 here";
  Start();
  const std::string program = R"(
import ssl, sys, urllib.request as r
url, user, password = sys.argv[1:]
passwords = r.HTTPPasswordMgrWithDefaultRealm()
passwords.add_password(None, url, user, password)
context = ssl._create_unverified_context()
opener = r.build_opener(r.HTTPDigestAuthHandler(passwords), r.HTTPSHandler(context=context))
for i in range(3):
    print(opener.open(url).read().decode(), end=';')
)";
  const Finished python = Python(program, "/private/page");
  EXPECT_EQ(python.output, "page;page;page;");
  EXPECT_NE(Python(program, "/private/page", "alice", "other").output.find("HTTP Error 401"),
            std::string::npos);
  server_->StopCleanly();
}

TEST_F(ServeDigestTest, PythonRequests) {
  if (!HasPythonModule("requests")) GTEST_SKIP() << "there is no Python requests here";
  Start();
  const std::string program = kPythonSession + R"(
for i in range(3):
    print(session.get(url).status_code, end=';')
print(session.post(url, data='x').status_code, end=';')
)";
  EXPECT_EQ(Python(program, "/private/page").output, "200;200;200;405;");
  EXPECT_EQ(Python(program, "/private/page", "alice", "other").output, "401;401;401;401;");
  const nlohmann::json digest = server_->StopCleanly()["digest"];
  EXPECT_EQ(digest["authenticated"], 1) << digest;
  EXPECT_EQ(digest["maintained"], 3) << digest;
}

// Computed there by hand.
TEST_F(ServeDigestTest, TheServerProvesThatItKnowsThePassword) {
  if (!HasPythonModule("requests")) GTEST_SKIP() << "there is no Python requests here";
  Start();
  const std::string program = kPythonSession + R"python(
import hashlib, re
def h(text):
    return hashlib.md5(text.encode()).hexdigest()
def read(header):
    return dict(re.findall(r'(\w+)="?([^",]*)"?', header))
for method in ('GET', 'GET', 'HEAD', 'DELETE'):
    answer = session.request(method, url)
    sent = read(answer.request.headers['Authorization'])
    info = read(answer.headers['Authentication-Info'])
    proof = h(':'.join((h(':'.join((user, 'staff', password))), sent['nonce'], sent['nc'],
                        sent['cnonce'], 'auth', h(':' + sent['uri']))))
    same = all(info[name] == sent[name] for name in ('nc', 'cnonce', 'qop'))
    print(answer.status_code, sent['nc'][-1], same, info['rspauth'] == proof, end=';')
)python";
  EXPECT_EQ(Python(program, "/private/page").output,
            "200 1 True True;200 2 True True;200 3 True True;405 4 True True;");
  server_->StopCleanly();
}

// It has the proof of the first response, and no more.
TEST_F(ServeDigestTest, TheLoadGeneratorNoticesAServerThatDoesNotKnowThePassword) {
  Authority authority("authority");
  const Authority::Files files = authority.Issue("localhost");
  const std::string program = R"python(
import hashlib, http.server, re, ssl, sys
def h(*parts):
    return hashlib.md5(':'.join(parts).encode()).hexdigest()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def log_message(self, *_):
        pass
    def do_GET(self):
        sent = dict(re.findall(r'(\w+)="?([^",]*)"?', self.headers.get('Authorization', '')))
        self.send_response(200 if sent else 401)
        if sent:
            key = h('alice', 'staff', 'x' if int(sent['nc'], 16) > 1 else 'wonder land')
            proof = h(key, sent['nonce'], sent['nc'], sent['cnonce'], 'auth', h('', sent['uri']))
            self.send_header('Authentication-Info', 'rspauth="%s", cnonce="%s", nc=%s, qop=auth'
                             % (proof, sent['cnonce'], sent['nc']))
        else:
            self.send_header('WWW-Authenticate',
                             'Digest realm="staff", qop="auth", algorithm=MD5, nonce="n", opaque="o"')
        self.send_header('Content-Length', '0')
        self.end_headers()
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(*sys.argv[1:])
server.socket = context.wrap_socket(server.socket, server_side=True)
print('port', server.server_port, flush=True)
server.serve_forever()
)python";
  ChildProcess server({"python3", "-c", program, files.certificate, files.key},
                      ChildProcess::Interactive{});
  ASSERT_TRUE(server.WaitForOutput("\n")) << server.output();
  const std::string address =
      "127.0.0.1:" + server.output().substr(5, server.output().find('\n') - 5);
  const LoadResult result =
      Load(address, {"--insecure", "--connections", "1", "--digest", "alice:wonder land"});
  EXPECT_EQ(result.code, 1) << result.output;
  EXPECT_NE(result.output.find("it does not know the password"), std::string::npos)
      << result.output;
  EXPECT_EQ(result.json["settings"]["digest_proofs"], 0) << result.output;
  EXPECT_GT(result.json["errors"].get<int>(), 0) << result.output;
}

TEST_F(ServeDigestTest, OnlyUsersGetTheProof) {
  Start({"--digest-path", "/private"});
  const auto told = [this](const std::string& user_password, const std::string& path) {
    return Verbose(user_password, {server_->url(path)}).find("\n< Authentication-Info: rspauth=") !=
           std::string::npos;
  };
  EXPECT_TRUE(told("alice:wonder land", "/private/page"));
  EXPECT_FALSE(told("alice:other", "/private/page"));
  EXPECT_FALSE(told("alice:wonder land", "/index.html"));
  server_->StopCleanly();
}

}  // namespace
}  // namespace ktlsim::system_tests
