// Parquet, HDF5, archives and their like. No torch here.
#include "data/containers.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <string_view>

#include "core/sizes.h"
#include "data/layouts.h"

namespace retort::data {

namespace fs = std::filesystem;

namespace {

constexpr int kMostEntries = 2000;  // of a folder that is searched for such files

const char* const kUnpack = "unpack it and point to the folder, for example: tar -xf FILE";
const char* const kHuggingFace =
    "write it as .npz in Python:\n"
    "    from datasets import load_dataset; import numpy as np; d = load_dataset(\"FOLDER\")"
    "[\"train\"]\n"
    "    np.savez(\"set.npz\", images=np.stack([np.asarray(x[\"image\"].convert(\"RGB\")) for x in "
    "d]), labels=d[\"label\"])";
const char* const kArray =
    "put its labels beside it as labels.npy, or write both as one .npz in Python:\n"
    "    import numpy as np; x, y = np.load(\"x.npy\"), np.load(\"y.npy\")\n"
    "    np.savez(\"set.npz\", images=x.astype(np.uint8), labels=y.astype(np.int64))";
const char* const kHdf5 =
    "write it as .npz in Python:\n"
    "    import h5py, numpy as np; f = h5py.File(\"FILE\"); print(list(f))\n"
    "    np.savez(\"set.npz\", images=f[\"images\"][:], labels=f[\"labels\"][:])";
const char* const kRecords =
    "write it as .npz in Python with the library that made it:\n"
    "    import numpy as np; x, y = zip(*((image, label) for image, label in your_reader))\n"
    "    np.savez(\"set.npz\", images=np.stack(x).astype(np.uint8), labels=np.array(y))";
const char* const kTorch =
    "`retort import` reads distilled sets; write a data set as .npz in Python:\n"
    "    import torch, numpy as np; s = torch.load(\"FILE\"); print(s.keys())\n"
    "    np.savez(\"set.npz\", images=s[\"images\"].numpy(), labels=s[\"labels\"].numpy())";
const char* const kPickle =
    "write it as .npz in Python:\n"
    "    import pickle, numpy as np; s = pickle.load(open(\"FILE\", \"rb\")); print(s.keys())\n"
    "    np.savez(\"set.npz\", images=s[\"images\"], labels=s[\"labels\"])";
const char* const kTable =
    "point to a folder with one folder of images for each class; a table alone holds no images";

const char* const kTableKind = "a table";

struct Kind {
  const char* name;
  std::string_view magic;  ///< empty: known by the ending
  size_t place;
  std::initializer_list<const char*> endings;
  const char* advice;
};

const std::array kKinds = {
    Kind{"a Parquet file", "PAR1", 0, {".parquet"}, kHuggingFace},
    Kind{"an Arrow file", "ARROW1", 0, {".arrow", ".feather"}, kHuggingFace},
    Kind{"a NumPy array", "\x93NUMPY", 0, {".npy"}, kArray},
    Kind{"an HDF5 file", "\x89HDF\r\n", 0, {".h5", ".hdf5", ".he5"}, kHdf5},
    Kind{"a tar archive", "ustar", 257, {".tar"}, kUnpack},
    Kind{"a compressed archive", "\x1f\x8b", 0, {".gz", ".tgz"}, kUnpack},
    Kind{"a compressed archive", "BZh", 0, {".bz2"}, kUnpack},
    Kind{"a compressed archive",
         "\xfd"
         "7zXZ",
         0,
         {".xz"},
         kUnpack},
    Kind{"a compressed archive", "\x28\xb5\x2f\xfd", 0, {".zst"}, kUnpack},
    Kind{"a 7z archive", "7z\xbc\xaf", 0, {".7z"}, kUnpack},
    Kind{"a RAR archive", "Rar!", 0, {".rar"}, kUnpack},
    Kind{"an SQLite database", "SQLite format 3", 0, {".sqlite", ".db"}, kRecords},
    Kind{"a pickle or PyTorch file", "", 0, {".pt", ".pth"}, kTorch},
    Kind{"a pickle", "", 0, {".pkl", ".pickle"}, kPickle},
    Kind{"a zip archive", "PK\x03\x04", 0, {".zip"}, kUnpack},
    Kind{"a safetensors file",
         "",
         0,
         {".safetensors"},
         "`retort eval` judges a distilled set; `retort pack` writes a data set as such a file"},
    Kind{"an LMDB database", "", 0, {".mdb"}, kRecords},
    Kind{"a TFRecord file", "", 0, {".tfrecord", ".tfrecords", ".array_record"}, kRecords},
    Kind{"an MXNet record file", "", 0, {".rec"}, kRecords},
    Kind{kTableKind, "", 0, {".csv", ".tsv", ".json", ".jsonl"}, kTable},
    Kind{
        "a MATLAB file",
        "MATLAB",
        0,
        {".mat"},
        "SVHN's folder of train_32x32.mat and test_32x32.mat is read; write another set as .npz in "
        "Python:\n"
        "    from scipy.io import loadmat; import numpy as np; s = loadmat(\"FILE\")\n"
        "    np.savez(\"set.npz\", images=s[\"images\"], labels=s[\"labels\"].ravel())"}};

std::string replaced(std::string text, const std::string& word, const std::string& by) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + by.size()))
    text.replace(at, word.size(), by);
  return text;
}

/// With the file's own path in the lines of Python.
std::optional<Container> named(const Kind& kind, const fs::path& path) {
  const fs::path whole = fs::absolute(path);
  const std::string folder = whole.parent_path().string();
  return Container{kind.name,
                   replaced(replaced(kind.advice, "FILE", whole.string()), "FOLDER", folder)};
}

std::optional<Container> of_file(const fs::path& path) {
  std::string head(512, '\0');
  std::ifstream file(path, std::ios::binary);
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  head.resize(to_size(file.gcount()));
  const std::string ending = lower(path.extension().string());
  const auto ends = [&](const Kind& kind) {
    return std::find(kind.endings.begin(), kind.endings.end(), ending) != kind.endings.end();
  };
  const auto holds = [&](const Kind& kind) {
    return std::string_view(head).substr(std::min(kind.place, head.size())).starts_with(kind.magic);
  };
  for (const Kind& kind : kKinds)  // a PyTorch file is a zip: by the ending where that fits
    if (ends(kind) && holds(kind)) return named(kind, path);
  for (const Kind& kind : kKinds)
    if (!kind.magic.empty() && holds(kind)) return named(kind, path);
  return std::nullopt;
}

/// The kind of most files in a folder, where it is one of a container.
std::optional<Container> of_folder(const fs::path& folder) {
  std::map<std::string, std::pair<int, Container>> found;
  std::error_code ignored;
  int left = kMostEntries;
  for (auto at = fs::recursive_directory_iterator(folder, ignored); at != end(at) && left-- > 0;
       at.increment(ignored)) {
    if (!at->is_regular_file(ignored)) continue;
    if (auto one = of_file(at->path()); one && one->kind != kTableKind) {
      auto& [count, container] = found[one->kind];
      ++count;
      container = std::move(*one);
    }
  }
  const auto most = std::max_element(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return a.second.first < b.second.first;
  });
  if (most == found.end()) return std::nullopt;
  const auto& [count, container] = most->second;
  return Container{"a folder with " + std::to_string(count) + " file" + (count == 1 ? "" : "s") +
                       " of a kind that is not read (" + container.kind + ")",
                   container.advice};
}

}  // namespace

std::optional<Container> known_container(const fs::path& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return of_folder(path);
  return fs::is_regular_file(path, ignored) ? of_file(path) : std::nullopt;
}

}  // namespace retort::data
