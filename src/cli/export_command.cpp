// retort export: a bundle in the formats that other programs read.
#include <filesystem>
#include <ostream>

#include "cli/arguments.h"
#include "cli/host.h"
#include "cli/taken_over.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/synthetic/bundle.h"

namespace retort::cli {

namespace {

namespace fs = std::filesystem;

std::vector<std::string> formats() {
  std::vector<std::string> all = synthetic::export_formats();
  all.insert(all.begin(), "auto");
  return all;
}

/// The format that a name asks for: by its ending, a folder for pictures.
std::string format_of(const std::string& out) {
  const fs::path path(out);
  const std::string ending = path.extension().string();
  if (ending == ".npz" || ending == ".pt") return ending.substr(1);
  if (ending == ".pth") return "pt";
  if (!path.has_filename() || ending.empty() || fs::is_directory(path)) return "png";
  throw ConfigError(ErrorMessage{"exporting to '" + out + "'",
                                 "its ending '" + ending + "' names no format",
                                 "a file .pt or .npz, or a folder", "give --format"});
}

/// A file's format cannot go to a folder, nor pictures into a file.
void check_place(const std::string& format, const std::string& out) {
  const fs::path path(out);
  const bool folder = !path.has_filename() || fs::is_directory(path);
  if (format != "png" && folder)
    throw ConfigError(ErrorMessage{"exporting to '" + out + "'",
                                   "it is a folder, and --format " + format + " writes a file",
                                   "a file, such as " + (path / ("set." + format)).string(),
                                   "name a file with --out, or give --format png"});
  if (format == "png" && fs::is_regular_file(path))
    throw ConfigError(ErrorMessage{"exporting to '" + out + "'",
                                   "it is a file, and --format png writes a folder",
                                   {},
                                   "name a new folder with --out"});
}

/// A set may leave its whitening to the data that it was made from. Pictures need it; a .pt does
/// without where no data are given, since it may be a gigabyte.
void take_whitening(const Environment& environment, const std::string& target,
                    const std::string& format, bool given, const data::DataOptions& options,
                    synthetic::Bundle& bundle) {
  const bool by_run = format != "pt" && fs::is_directory(target);
  if (given || by_run) {
    const data::Dataset data = open_data(environment, options);
    fit_to_data(environment, "exporting", target, data, bundle);
  } else if (format == "pt") {
    environment.err << "note: the images are whitened, and what whitens others is not in the set: "
                       "with --data, the data that it was made from, it is written too\n";
  }
}

}  // namespace

int run_export(const Environment& environment, const Arguments& arguments) {
  std::string target, format = "auto", out;
  data::DataOptions data;
  bool json = false;
  OptionSet set;
  set.group("Export");
  set.add("format", format,
          "png: folders of 8-bit pictures; npz; pt: torch.load(weights_only=True) reads it; auto: "
          "as the name of --out says, a folder for png",
          {.choices = formats()});
  set.add("out", out, "the file or folder to write");
  set.add("json", json, "print one JSON document on standard output");
  set.group("Data, for a set that leaves its whitening to the data that it was made from");
  data.declare(set);
  const Usage usage{"export", "Writes a set in a format that other programs read.",
                    "Examples:\n  retort export runs/a --out a.pt\n"
                    "  retort export runs/a --out a.npz\n"
                    "  retort export runs/a --format png --out pictures/\n"
                    "  retort export sets/mtt-cifar10-ipc1.safetensors --data DATA --out a.pt\n"};
  if (!parse(environment, usage, arguments, set,
             {{"bundle", "a run folder or a bundle", &target, true}}))
    return 0;
  Problems problems;
  if (out.empty()) problems.add("missing: --out, the file or folder to write");
  problems.raise("reading the options of 'retort export'");
  if (format == "auto") format = format_of(out);
  check_place(format, out);
  synthetic::Bundle bundle = synthetic::load_bundle(bundle_of(target));
  if (bundle.preprocessing_missing) {
    take_run_options(target, set);
    take_whitening(environment, target, format, !peek(arguments, "data").empty(), data, bundle);
  }
  synthetic::export_bundle(bundle, format, out);
  if (json) {
    environment.out
        << json_text(Json{{"out", out}, {"format", format}, {"images", bundle.images.size(0)}}, 2)
        << "\n";
  } else {
    environment.out << fmt::format("{} images to {}\n", bundle.images.size(0), out);
  }
  return 0;
}

}  // namespace retort::cli
