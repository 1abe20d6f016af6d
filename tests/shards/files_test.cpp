#include "shards/files.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>

using webshocket::HttpResponse;
using webshocket::shards::read_file;

namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// `site` is served; `secret` lies beside it.
class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "webshocket_files_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root_ = name;
    write(root_ / "secret.txt", "secret");
    write(root_ / "site-next-door/x.txt", "secret");
    write(site() / "index.html", "<p>hi");
    write(site() / "a b.txt", "blank");
    write(site() / "caf\xC3\xA9.txt", "umlaut");
    write(site() / "100%.txt", "percent");
    write(site() / "..almost", "two dots first");
    write(site() / "sub/index.html", "<p>sub");
    write(site() / "sub/deep/app.js", "let x;");
    write(site() / "empty/nothing.txt", "");
    write(site() / ".hidden", "hidden");
    write(site() / ".git/config", "hidden");
    fs::create_symlink(root_ / "secret.txt", site() / "out.txt");
    fs::create_directory_symlink(root_, site() / "up");
    fs::create_symlink("index.html", site() / "inside.html");
    fs::create_symlink("loop.txt", site() / "loop.txt");
  }
  ~Folder() { fs::remove_all(root_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  fs::path site() const { return root_ / "site"; }
  HttpResponse get(std::string_view path) const { return read_file(site().string(), path); }
  std::string body(std::string_view path) const {
    const HttpResponse response = get(path);
    return response.status == 200 ? response.body : std::to_string(response.status);
  }

 private:
  fs::path root_;
};

}  // namespace

TEST_CASE("files, and a folder's index") {
  const Folder folder;
  CHECK(folder.body("index.html") == "<p>hi");
  CHECK(folder.body("/index.html") == "<p>hi");
  CHECK(folder.body("") == "<p>hi");
  CHECK(folder.body("/") == "<p>hi");
  CHECK(folder.body("sub") == "<p>sub");
  CHECK(folder.body("sub/") == "<p>sub");
  CHECK(folder.body("//sub//deep//app.js") == "let x;");
  CHECK(folder.get("empty/nothing.txt").status == 200);
  CHECK(folder.body("inside.html") == "<p>hi");
  CHECK(folder.body("nothing") == "404");
  CHECK(folder.body("empty") == "404");
  CHECK(folder.body("index.html/") == "404");
  CHECK(folder.body("index.html/x") == "404");
  CHECK(folder.body("loop.txt") == "404");
  CHECK(read_file((folder.site() / "not there").string(), "").status == 404);
}

TEST_CASE("nothing outside the folder, whatever the spelling") {
  const Folder folder;
  for (const char* path : {"../secret.txt",
                           "/../secret.txt",
                           "sub/../../secret.txt",
                           "%2e%2e/secret.txt",
                           "%2E./secret.txt",
                           "..%2fsecret.txt",
                           "sub/..%2F..%2Fsecret.txt",
                           "..\\secret.txt",
                           "..%5csecret.txt",
                           "../site-next-door/x.txt",
                           "/etc/passwd",
                           "%2fetc%2fpasswd",
                           "//etc/passwd",
                           "../site/index.html",
                           "sub/../index.html",
                           "./index.html",
                           "..",
                           ".",
                           "%00",
                           "index.html%00.txt",
                           "sub/%00/../index.html"}) {
    CAPTURE(path);
    CHECK(folder.body(path) == "404");
  }
}

TEST_CASE("a symbolic link does not lead out") {
  const Folder folder;
  CHECK(folder.body("out.txt") == "404");
  CHECK(folder.body("up/secret.txt") == "404");
  CHECK(folder.body("up/site/index.html") == "<p>hi");
}

TEST_CASE("a folder's own page may not be a link that leads out") {
  const Folder folder;
  fs::create_directory(folder.site() / "led");
  fs::create_symlink(folder.site().parent_path() / "secret.txt", folder.site() / "led/index.html");
  CHECK(folder.body("led/") == "404");
  CHECK(folder.body("led") == "404");
  CHECK(folder.body("led/index.html") == "404");
}

TEST_CASE("the folder itself may be a link, or end in a slash") {
  const Folder folder;
  const fs::path link = folder.site().parent_path() / "link";
  fs::create_directory_symlink(folder.site(), link);
  CHECK(read_file(link.string(), "index.html").body == "<p>hi");
  CHECK(read_file(link.string(), "out.txt").status == 404);
  CHECK(read_file(folder.site().string() + "/", "index.html").body == "<p>hi");
  CHECK(read_file(folder.site().string() + "/", "../secret.txt").status == 404);
}

TEST_CASE("hidden files are not served") {
  const Folder folder;
  CHECK(folder.body(".hidden") == "404");
  CHECK(folder.body("%2ehidden") == "404");
  CHECK(folder.body(".git/config") == "404");
  CHECK(folder.body("..almost") == "404");
}

TEST_CASE("names are percent-decoded, once") {
  const Folder folder;
  CHECK(folder.body("a%20b.txt") == "blank");
  CHECK(folder.body("a+b.txt") == "404");
  CHECK(folder.body("caf%C3%A9.txt") == "umlaut");
  CHECK(folder.body("100%25.txt") == "percent");
  CHECK(folder.body("%69ndex.html") == "<p>hi");
  CHECK(folder.body("%2569ndex.html") == "404");
  for (const char* path : {"%", "%6", "index.html%", "index.html%2", "%zz", "%6gndex.html"}) {
    CAPTURE(path);
    CHECK(folder.body(path) == "404");
  }
}

TEST_CASE("a file's type comes from its name, and the browser is told not to guess") {
  const Folder folder;
  CHECK(folder.get("index.html").content_type == "text/html; charset=utf-8");
  CHECK(folder.get("sub/deep/app.js").content_type == "text/javascript; charset=utf-8");
  CHECK(folder.get("a%20b.txt").content_type == "text/plain; charset=utf-8");
  write(folder.site() / "data.bin", std::string("\0\xFF\n", 3));
  const HttpResponse response = folder.get("data.bin");
  CHECK(response.content_type == "application/octet-stream");
  CHECK(response.body == std::string("\0\xFF\n", 3));
  CHECK(std::ranges::find(response.headers, std::pair<std::string, std::string>(
                                                "X-Content-Type-Options", "nosniff")) !=
        response.headers.end());
}
