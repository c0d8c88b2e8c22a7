declare module "@cornerstonejs/codec-charls/decodewasmjs" {
  const load: (options: { locateFile(name: string): string }) => Promise<{ JpegLSDecoder: new () => unknown }>;
  export default load;
}
declare module "@cornerstonejs/codec-openjpeg/decodewasmjs" {
  const load: (options: { locateFile(name: string): string }) => Promise<{ J2KDecoder: new () => unknown }>;
  export default load;
}
declare module "jpeg-lossless-decoder-js" {
  export class Decoder {
    frame: { dimX: number; dimY: number };
    decompress(buffer: ArrayBuffer): ArrayBuffer;
  }
}
