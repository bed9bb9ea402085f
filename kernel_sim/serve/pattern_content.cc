#include "kernel_sim/serve/pattern_content.h"

#include <new>
#include <optional>
#include <string_view>
#include <system_error>

#include "kernel_sim/base/characters.h"
#include "kernel_sim/serve/http_responder.h"

namespace ktlsim::serve {
namespace {

constexpr std::string_view kBytesPath = "/bytes/";

// n of "/bytes/<n>"; empty when it is no number or too large.
std::optional<std::uint64_t> BytesOfPath(std::string_view path) {
  const std::string_view digits = path.substr(kBytesPath.size());
  std::uint64_t bytes = 0;
  if (ReadNumber(digits, &bytes) != std::errc() || bytes > kBytesPathMax) return {};
  return bytes;
}

class PatternContent final : public HttpContent {
 public:
  explicit PatternContent(std::uint64_t respond_bytes) : respond_bytes_(respond_bytes) {}

  Outcome Answer(const HttpRequest& request, HttpContentWaiter& /*waiter*/,
                 HttpResponse& response) override {
    response.status = 200;
    response.body_bytes = respond_bytes_;
    response.content_type = "text/plain";
    if (request.path().starts_with(kBytesPath)) {
      const std::optional<std::uint64_t> wanted = BytesOfPath(request.path());
      response.status = wanted ? 200 : 404;
      response.body_bytes = wanted.value_or(0);
    }
    return Outcome::kReady;
  }

  Outcome Fill(std::uint64_t offset, std::span<std::byte> out, HttpContentWaiter& /*waiter*/,
               std::size_t* bytes) override {
    FillHttpBody(offset, out);
    *bytes = out.size();
    return Outcome::kReady;
  }

  void Release() override { delete this; }

 private:
  const std::uint64_t respond_bytes_;
};

}  // namespace

HttpContent* MakePatternContent(std::uint64_t respond_bytes) {
  return new (std::nothrow) PatternContent(respond_bytes);
}

}  // namespace ktlsim::serve
