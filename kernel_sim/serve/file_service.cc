#include "kernel_sim/serve/file_service.h"

#include <new>
#include <utility>

#include "kernel_sim/serve/file_content.h"

namespace ktlsim::serve {
namespace {

class FileService final : public Service {
 public:
  FileService(FileTree tree, const HttpOptions& options, FileWatcher* watcher)
      : options_(options), share_(std::move(tree), kFileWorkersMax, watcher) {}

  transport::ConnectionHandler* NewHandler(transport::Connection& connection) override {
    return MakeHttpResponder(options_, connection, MakeFileContent(share_, connection.loop()));
  }

  void Stop() override {
    share_.contents.Close();
    share_.contents.WaitUntilDrained();
  }

 private:
  const HttpOptions options_;
  FileShare share_;
};

}  // namespace

Result<std::unique_ptr<Service>> MakeFileService(const std::string& root,
                                                 const HttpOptions& options, FileWatcher* watcher) {
  Result<FileTree> tree = FileTree::Open(root);
  if (!tree) return tree.status();
  std::unique_ptr<Service> service(new (std::nothrow)
                                       FileService(std::move(*tree), options, watcher));
  if (service == nullptr) return ResourceError("memory for the files");
  return service;
}

}  // namespace ktlsim::serve
