// retort import: published sets and folders of images as bundles.
#include <ostream>

#include "cli/arguments.h"
#include "retort/core/error.h"
#include "retort/core/records.h"
#include "retort/synthetic/bundle.h"

namespace retort::cli {

int run_import(const Environment& environment, const Arguments& arguments) {
  std::string file, out;
  int64_t which = 0;
  bool json = false;
  data::DataOptions data_options;
  OptionSet set;
  set.group("Import");
  set.add("out", out, "the bundle to write (.safetensors)");
  set.add("which", which, "the experiment of a file that holds several", {.min = 0});
  set.add("json", json, "print one JSON document on standard output");
  set.group("Data the set was made from");
  data_options.declare(set);
  const Usage usage{
      "import",
      "Reads a published set as a bundle: class names and normalisation come from --data.",
      "Examples:\n  retort import res_DM_CIFAR10_ConvNet_10ipc.pt --data cifar-10-batches-bin "
      "--out dm.safetensors\n"
      "  retort import pictures/ --data cifar-10-batches-bin --out mine.safetensors\n"};
  if (!parse(environment, usage, arguments, set,
             {{"file", "a .pt, .npz or folder of class folders of PNGs", &file, true}}))
    return 0;
  Problems problems;
  if (out.empty()) problems.add("missing: --out, the bundle to write");
  problems.raise("reading the options of 'retort import'");
  const data::Dataset data = data::open_dataset(data_options);
  const synthetic::Bundle bundle =
      synthetic::import_bundle(file, {data.class_names, data.preprocessing, data.name}, which);
  synthetic::save_bundle(out, bundle);
  if (json) {
    environment.out << json_text(Json{{"out", out},
                                      {"images", bundle.images.size(0)},
                                      {"classes", bundle.classes()}},
                                 2)
                    << "\n";
  } else {
    environment.out << fmt::format("{} images of {} classes to {}\n", bundle.images.size(0),
                                   bundle.classes(), out);
  }
  return 0;
}

}  // namespace retort::cli
