// Runs a fuzzer's corpus, for builds without libFuzzer: `replay FOLDER...`. Each input is also cut
// at every length below 64, since parsers of a stream meet every cut.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/fuzz/fuzz.h"

int main(int count, char** arguments) {
  std::size_t inputs = 0;
  for (int i = 1; i < count; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(arguments[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
      const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
      for (std::size_t cut = 0; cut < bytes.size() && cut < 64; ++cut) {
        LLVMFuzzerTestOneInput(data, cut);
      }
      LLVMFuzzerTestOneInput(data, bytes.size());
      ++inputs;
    }
  }
  std::printf("%zu inputs\n", inputs);
  return inputs == 0 ? 1 : 0;
}
