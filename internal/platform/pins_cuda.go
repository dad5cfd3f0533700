package platform

// cudaLibraries are NVIDIA's libraries that the CUDA plugin loads: those that JAX asks for beside the same plugin,
// newest at the time of pinning.
var cudaLibraries = libraries{
	folder: "nvidia",
	hash:   "7686d2c9cba47e1e47f1b01b02d2415259cf66b2af81f196df771edd2aa775ae",
	size:   4648832414,
	wheels: []pin{
		cudaWheel("cublas", "nvidia-cublas-cu12", "12.9.3.13", "d7d51055f161b317c7105ddaae90e71eda059026074ffef93cf7cde2886bfe72", 581217458),
		cudaWheel("cuda_cupti", "nvidia-cuda-cupti-cu12", "12.9.79", "096bcf334f13e1984ba36685ad4c1d6347db214de03dbb6eebb237b41d9d934f", 10814997),
		cudaWheel("cuda_nvcc", "nvidia-cuda-nvcc-cu12", "12.9.86", "5d6a0d32fdc7ea39917c20065614ae93add6f577d840233237ff08e9a38f58f0", 40546229),
		cudaWheel("cuda_nvrtc", "nvidia-cuda-nvrtc-cu12", "12.9.86", "210cf05005a447e29214e9ce50851e83fc5f4358df8b453155d5e1918094dcb4", 89568129),
		cudaWheel("cuda_runtime", "nvidia-cuda-runtime-cu12", "12.9.79", "25bba2dfb01d48a9b59ca474a1ac43c6ebf7011f1b0b8cc44f54eb6ac48a96c3", 3493179),
		cudaWheel("cudnn", "nvidia-cudnn-cu12", "9.28.0.42", "9ff58b7f36dacd0a93e89f8f2957b52466889217963701daa15e577317cfa375", 716538495),
		cudaWheel("cufft", "nvidia-cufft-cu12", "11.4.1.4", "c67884f2a7d276b4b80eb56a79322a95df592ae5e765cf1243693365ccab4e28", 200877592),
		cudaWheel("cusolver", "nvidia-cusolver-cu12", "11.7.5.82", "15da72d1340d29b5b3cf3fd100e3cd53421dde36002eda6ed93811af63c40d88", 338117415),
		cudaWheel("cusparse", "nvidia-cusparse-cu12", "12.5.10.65", "73060ce019ac064a057267c585bf1fd5a353734151f87472ff02b2c5c9984e78", 366465088),
		cudaWheel("nccl", "nvidia-nccl-cu12", "2.32.3", "bb94b2348e4861d5e8aa00b36c3d12d9bdf9c6369b82cbb723de0b582280a21c", 351526311),
		cudaWheel("nvjitlink", "nvidia-nvjitlink-cu12", "12.9.86", "e3f1171dbdc83c5932a45f0f4c99180a70de9bd2718c1ab77d14104f6d7147f9", 39748338),
		cudaWheel("nvshmem", "nvidia-nvshmem-cu12", "3.8.0", "b2e5760d6158aefe7bb74348d5128bb1b46a7dd1fd4b7b1e6fe55b4b07888f70", 280800183),
	},
}

// cudaWheel pins a wheel of which the folder nvidia/NAME is taken.
func cudaWheel(name, project, version, hash string, size int64) pin {
	return pin{
		platform: GPU, project: project, version: version, archiveHash: hash, archiveSize: size, entry: "nvidia/" + name,
		pip: []string{"--platform=manylinux_2_27_x86_64", "--platform=manylinux_2_25_x86_64",
			"--platform=manylinux2014_x86_64", "--platform=manylinux2010_x86_64"},
	}
}
