import { openStore } from "../src/store/open-store.ts";
import { Database } from "bun:sqlite";
import { mkdtempSync, rmSync } from "node:fs";
const dir=mkdtempSync("/tmp/bx-");
const row=(n:number)=>({key:`boss:acme/widgets#${n}`,agent:"boss",repo:"acme/widgets",number:n,sessionId:`00000000-0000-4000-8000-${String(n).padStart(12,"0")}`,createdAt:1,updatedAt:Date.now(),resumes:Math.floor(Math.random()*20),tainted:false,usdTotal:Math.random()});
const store=await openStore({path:dir+"/a.db",now:Date.now});
await store.sessions.putAll(Array.from({length:100000},(_, i)=>row(i+1)));
const other=new Database(dir+"/a.db");
other.run("delete from session_stale");
const ck=()=>other.query("pragma wal_checkpoint(truncate)").get();
const some=()=>Array.from({length:50},()=>row(1+Math.floor(Math.random()*100000)));
for(let i=0;i<3;i++){ck();await Promise.all(some().map(r=>store.sessions.put(r)));console.log(JSON.stringify(other.query("pragma wal_checkpoint(passive)").get()));}
const up=`insert into session (key,agent,repo,number,session_id,created_at,updated_at,resumes,tainted,usd_total) values (?,?,?,?,?,?,?,?,?,?) on conflict(key) do update set session_id=excluded.session_id, updated_at=excluded.updated_at,resumes=excluded.resumes,usd_total=excluded.usd_total,created_at=excluded.created_at,tainted=excluded.tainted`;
const run=(name:string,db:Database,rows:()=>any[])=>{const st=db.prepare(up);const parts:number[][]=[[],[],[]];for(let i=0;i<60;i++){const rs=rows();const a=performance.now();db.run("begin immediate");for(const r of rs)st.run(r.key,r.agent,r.repo,r.number,r.sessionId,1,r.updatedAt,r.resumes,0,r.usdTotal);const b=performance.now();db.run("commit");const c=performance.now();parts[0]!.push(b-a);parts[1]!.push(c-b);}
for(const p of parts)p.sort((x,y)=>x-y);console.log(name,"statements",parts[0]![30]!.toFixed(2),"commit",parts[1]![30]!.toFixed(2));};
const near=()=>Array.from({length:50},(_, i)=>row(i+1));
other.run("pragma synchronous=full");
for(let k=0;k<2;k++){
run("near",other,near);run("random",other,some);
other.run("pragma synchronous=off");run("random nosync",other,some);other.run("pragma synchronous=full");}
other.run("pragma cache_size=-65536");run("warm",other,some);run("random bigcache",other,some);
const f=[];const fs=require("fs");const fd=fs.openSync(dir+"/f","a");const buf=Buffer.alloc(4120*60,1);for(let i=0;i<60;i++){const a=performance.now();for(let j=0;j<60;j++){fs.writeSync(fd,buf,0,24);fs.writeSync(fd,buf,0,4096);}fs.fdatasyncSync(fd);f.push(performance.now()-a);}f.sort((x:number,y:number)=>x-y);console.log("60 frames append+fdatasync",f[30].toFixed(2));
other.close();await store.close();rmSync(dir,{recursive:true});
