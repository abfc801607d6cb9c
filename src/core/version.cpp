#include "core/version.h"

#include <torch/cuda.h>
#include <torch/version.h>

#include "core/mpi_group.h"
#include "retort/core/device.h"

namespace retort {

#ifndef RETORT_WITH_JPEG
#define RETORT_WITH_JPEG 0
#endif
#ifndef RETORT_WITH_PNG
#define RETORT_WITH_PNG 0
#endif
#ifndef RETORT_WITH_WEBP
#define RETORT_WITH_WEBP 0
#endif
#ifndef RETORT_WITH_GIF
#define RETORT_WITH_GIF 0
#endif
#ifndef RETORT_WITH_TIFF
#define RETORT_WITH_TIFF 0
#endif
#ifndef RETORT_WITH_ARCHIVE
#define RETORT_WITH_ARCHIVE 0
#endif
#ifndef RETORT_WITH_MATIO
#define RETORT_WITH_MATIO 0
#endif

std::string version() {
  return RETORT_VERSION;
}

std::vector<BuildPart> build_parts() {
  const bool cuda = torch::cuda::is_available();
  return {{"libtorch", true, TORCH_VERSION},
          {"CUDA", cuda,
           cuda ? std::to_string(torch::cuda::device_count()) + " devices"
                : "no device, or a CPU build"},
          {"fast BLAS", fast_blas(),
           fast_blas() ? "OpenBLAS or MKL"
                       : "install libopenblas0: matrix products are 25 to 50 times slower"},
          {"JPEG", RETORT_WITH_JPEG == 1, "libjpeg-turbo: image folders, Tiny-ImageNet"},
          {"PNG", RETORT_WITH_PNG == 1, "libpng: image folders, previews, reports"},
          {"WebP", RETORT_WITH_WEBP == 1, "libwebp: image folders"},
          {"GIF", RETORT_WITH_GIF == 1, "giflib: image folders"},
          {"TIFF", RETORT_WITH_TIFF == 1, "libtiff 4.5: image folders"},
          {"archives", RETORT_WITH_ARCHIVE == 1, "libarchive: .gz, .npz and .pt files"},
          {"MATLAB files", RETORT_WITH_MATIO == 1, "matio: SVHN"},
          {"MPI", has_mpi(), mpi_detail()}};
}

}  // namespace retort
